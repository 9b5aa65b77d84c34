/** Finds calls of tools in what a model writes. */
import { newToolCallId } from '../ids.ts';
import type { ToolFormat } from './messages.ts';

export interface ToolCall {
  id: string;
  name: string;
  /** JSON text. */
  arguments: string;
}

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';

/**
 * Reads a text as it is written. What may be a call is held back until it is clear that it is one; everything that is no call comes out as text.
 * @param format null: all of it is text
 */
export class ToolCallReader {
  readonly calls: ToolCall[] = [];
  #held = '';

  constructor(readonly format: ToolFormat) {}

  /** @returns the text that is no part of a call, and the calls that are now complete */
  push(text: string): { text: string; calls: ToolCall[] } {
    if (this.format === null) return { text, calls: [] };
    this.#held += text;
    let given = '';
    const complete: ToolCall[] = [];
    for (;;) {
      const begin = this.#held.indexOf(OPEN);
      if (begin < 0) {
        const kept = overlap(this.#held, OPEN);
        given += this.#held.slice(0, this.#held.length - kept);
        this.#held = this.#held.slice(this.#held.length - kept);
        break;
      }
      const end = this.#held.indexOf(CLOSE, begin);
      if (end < 0) {
        given += this.#held.slice(0, begin);
        this.#held = this.#held.slice(begin);
        break;
      }
      const call = parsed(this.#held.slice(begin + OPEN.length, end));
      given += this.#held.slice(0, call === null ? end + CLOSE.length : begin);
      if (call !== null) complete.push(call);
      this.#held = this.#held.slice(end + CLOSE.length);
    }
    this.calls.push(...complete);
    // Between calls, templates write a line break.
    return { text: this.calls.length > 0 && given.trim() === '' ? '' : given, calls: complete };
  }

  /** @returns what was held back and is no call after all */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return this.calls.length > 0 && rest.trim() === '' ? '' : rest;
  }
}

/** @returns how many characters at the end of the text may begin the mark */
function overlap(text: string, mark: string): number {
  for (let length = Math.min(text.length, mark.length - 1); length > 0; length--) if (mark.startsWith(text.slice(-length))) return length;
  return 0;
}

/** @returns null for what is not the JSON of a call */
function parsed(text: string): ToolCall | null {
  try {
    const { name, arguments: given } = JSON.parse(text) as { name?: unknown; arguments?: unknown };
    if (typeof name !== 'string') return null;
    return { id: newToolCallId(), name, arguments: typeof given === 'string' ? given : JSON.stringify(given ?? {}) };
  } catch {
    return null;
  }
}
