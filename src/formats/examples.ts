/**
 * The format of examples: one JSON object per line, either a chat, `{"messages": [{"role", "content", …}], "tools"?}` as OpenAI and Hugging Face
 * write it, or `{"prompt", "completion"}`. Other keys are ignored.
 */

import { readLines } from './lines.ts';
import { isRecord } from './record.ts';
import { Refusal } from './refusal.ts';

/** A longer conversation is taken for a mistake in the file. */
const MAX_MESSAGES = 4096;
/** How many problems one error names: enough to see the pattern, few enough to read. */
export const MAX_PROBLEMS = 10;

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'] as const;
export type Role = (typeof ROLES)[number];

export interface ChatMessage {
  role: Role;
  /** Text parts are joined; empty when an assistant only calls tools. */
  content: string;
  /** Whether an assistant's turn is trained on (1, the default) or only read (0). Ignored for other roles, which are never trained on. */
  weight: 0 | 1;
  /** Everything else the message carries (`name`, `tool_calls`, `tool_call_id`, …), for the chat template. */
  extra: Record<string, unknown>;
}

export interface ChatExample {
  kind: 'chat';
  messages: ChatMessage[];
  tools: unknown[] | null;
}

export interface CompletionExample {
  kind: 'completion';
  prompt: string;
  completion: string;
}

export type TrainingExample = ChatExample | CompletionExample;

export type ExampleFile = 'training_file' | 'validation_file';

type Json = Record<string, unknown>;

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

/** @returns the error that both the formats and the engine throw for a problem in a file of examples */
export function exampleError(param: ExampleFile, message: string, hint?: string): Refusal {
  return new Refusal(`invalid_${param}`, message, { param, ...(hint === undefined ? {} : { hint }) });
}

/**
 * @param param which file the line is from: the error's param, and its code `invalid_{param}`
 * @throws Refusal naming the line and the message in it (both from 1)
 */
export function parseExample(line: string, lineNumber: number, param: ExampleFile): TrainingExample {
  const where = `line ${lineNumber}`;
  const fail = (problem: string, hint?: string) => exampleError(param, problem, hint);
  if (line.trim() === '') throw fail(`${where} is blank`, 'Remove it: every line holds one example.');
  const value = parseJson(line, where, fail);
  if (!isRecord(value))
    throw fail(`${where} is ${shown(value)}, not a JSON object`, 'An example is {"messages": [...]} or {"prompt": "...", "completion": "..."}.');
  if ('messages' in value) return parseChat(value, where, fail);
  if ('preferred_output' in value || 'chosen' in value)
    throw fail(
      `${where} is a preference pair, which is not supported yet`,
      'Supervised examples are {"messages": [...]} or {"prompt": "...", "completion": "..."}.',
    );
  if ('prompt' in value || 'completion' in value) return parseCompletion(value, where, fail);
  throw fail(
    `${where} has neither "messages" nor "prompt" and "completion"; its keys are ${shown(Object.keys(value))}`,
    'An example is {"messages": [...]} or {"prompt": "...", "completion": "..."}.',
  );
}

/**
 * Reads a file of examples as a stream.
 * @param bytes the file, in any chunks
 * @throws Refusal naming the first lines that are wrong, all at once
 */
export async function* readExamples(
  bytes: AsyncIterable<Uint8Array>,
  param: ExampleFile,
): AsyncGenerator<{ lineNumber: number; example: TrainingExample }> {
  const problems = new Problems(param);
  let lines = 0;
  let blanks: number[] = [];
  for await (const { number, text } of readLines(bytes, { code: `invalid_${param}`, param })) {
    // Many editors leave blank lines at the end of a file; in the middle they are a mistake.
    if (text.trim() === '') {
      if (blanks.length < MAX_PROBLEMS) blanks.push(number);
      continue;
    }
    for (const blank of blanks) problems.collect(() => parseExample('', blank, param));
    blanks = [];
    lines = number;
    const example = problems.collect(() => parseExample(text, number, param));
    // After a problem, the rest is read only to find more of them.
    if (example !== undefined && problems.count === 0) yield { lineNumber: number, example };
  }
  problems.throwIfAny();
  if (lines === 0) throw exampleError(param, 'the file is empty', 'Write one example per line.');
}

/** Collects the problems of a file up to a limit, so that a user can fix them in one go. */
export class Problems {
  readonly #errors: Refusal[] = [];
  constructor(readonly param: ExampleFile) {}

  get count(): number {
    return this.#errors.length;
  }

  /** @throws Refusal with all problems once the limit is reached; any error other than a Refusal is rethrown */
  collect<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.add(error);
      return undefined;
    }
  }

  add(error: unknown): void {
    if (!(error instanceof Refusal)) throw error;
    this.#errors.push(error);
    if (this.#errors.length >= MAX_PROBLEMS) this.throwIfAny();
  }

  /** Adds a problem without ever throwing; those beyond the limit are only counted, elsewhere. */
  note(error: Refusal): void {
    if (this.#errors.length < MAX_PROBLEMS) this.#errors.push(error);
  }

  throwIfAny(): void {
    const { all } = this;
    if (all !== null) throw all;
  }

  /** All problems as one error; null if there are none. */
  get all(): Refusal | null {
    const [first, ...more] = this.#errors;
    if (first === undefined || more.length === 0) return first ?? null;
    const messages = [first, ...more].map(({ message }) => message).join('; ');
    const intro = this.count >= MAX_PROBLEMS ? `the first ${this.count} problems` : `${this.count} problems`;
    return new Refusal(first.code, `${intro}: ${messages}`, first);
  }
}

type Fail = (problem: string, hint?: string) => Refusal;

function parseJson(line: string, where: string, fail: Fail): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    const { message } = error as SyntaxError;
    const position = message.startsWith('Unexpected end') ? line.length : /at position (\d+)/.exec(message)?.[1];
    const column = position === undefined ? '' : `column ${Number(position) + 1}: `;
    // V8 gives either a position or a quotation.
    const reason = message.replace(/ in JSON at position.*$/, '').replace(/, ((\.{3})?".*"(\.{3})?) is not valid JSON$/s, ' in $1');
    throw fail(`${where} is not valid JSON (${column}${reason})`, 'Write one JSON object per line.');
  }
}

function parseCompletion({ prompt, completion }: Json, where: string, fail: Fail): CompletionExample {
  if (typeof prompt !== 'string') throw fail(`${where} has a "prompt" that is ${shown(prompt)}; it must be a string`);
  if (typeof completion !== 'string') throw fail(`${where} has a "completion" that is ${shown(completion)}; it must be a string`);
  if (completion === '') throw fail(`${where} has an empty "completion"`, 'The completion is what the model learns.');
  return { kind: 'completion', prompt, completion };
}

function parseChat({ messages, tools }: Json, where: string, fail: Fail): ChatExample {
  if (!Array.isArray(messages)) throw fail(`${where} has "messages" that is ${shown(messages)}; it must be an array`);
  if (messages.length === 0) throw fail(`${where} has no messages`);
  if (messages.length > MAX_MESSAGES) throw fail(`${where} has ${messages.length} messages; the limit is ${MAX_MESSAGES}`);
  if (tools !== undefined && tools !== null && !Array.isArray(tools)) throw fail(`${where} has "tools" that is ${shown(tools)}; it must be an array`);
  const parsed = messages.map((message, index) => parseMessage(message, `${where}, message ${index + 1}`, fail));
  const last = parsed.at(-1)!;
  if (last.role !== 'assistant')
    throw fail(
      `${where}, message ${parsed.length}: the last message is from "${last.role}"`,
      'A conversation must end with a message of the assistant.',
    );
  return { kind: 'chat', messages: parsed, tools: Array.isArray(tools) && tools.length > 0 ? tools : null };
}

function parseMessage(message: unknown, where: string, fail: Fail): ChatMessage {
  if (!isRecord(message)) throw fail(`${where} is ${shown(message)}, not an object`, 'A message is {"role": "user", "content": "..."}.');
  const { role, content, weight, ...extra } = message;
  if (!ROLES.includes(role as Role)) throw fail(`${where} has the role ${shown(role)}`, `Roles are ${ROLES.join(', ')}.`);
  if (weight !== undefined && weight !== null && weight !== 0 && weight !== 1)
    throw fail(`${where} has the weight ${shown(weight)}; it must be 0 or 1`);
  const callsTools = role === 'assistant' && Array.isArray(extra['tool_calls']) && extra['tool_calls'].length > 0;
  return { role: role as Role, content: parseContent(content, callsTools, where, fail), weight: weight === 0 ? 0 : 1, extra };
}

function parseContent(content: unknown, isOptional: boolean, where: string, fail: Fail): string {
  if (typeof content === 'string') return content;
  if (content === undefined || content === null) {
    if (isOptional) return '';
    throw fail(`${where} has no content`, 'Give it a string, or an array of {"type": "text", "text": "..."}.');
  }
  if (!Array.isArray(content)) throw fail(`${where} has content that is ${shown(content)}; it must be a string or an array of text parts`);
  return content
    .map((part: unknown, index) => {
      if (isRecord(part) && part['type'] === 'text' && typeof part['text'] === 'string') return part['text'];
      const type = isRecord(part) ? shown(part['type']) : shown(part);
      throw fail(`${where}, part ${index + 1} is ${type}; only text parts are supported`, 'A part is {"type": "text", "text": "..."}.');
    })
    .join('');
}
