/** A line of JSON: parsed, or refused with the column and the reason. */
import { visible } from './visible.ts';

/** @param fail makes the error from what follows the line's name, and a hint. @throws its errors */
export function parseJsonLine(line: string, fail: (problem: string, hint: string) => Error): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    const { message } = error as SyntaxError;
    const position = message.startsWith('Unexpected end') ? line.length : /at position (\d+)/.exec(message)?.[1];
    const column = position === undefined ? '' : `column ${Number(position) + 1}: `;
    // V8 gives either a position or a quotation, which may begin or end with half of a character.
    const whole = message.replaceAll(/\p{Surrogate}/gu, '');
    const reason = whole.replace(/ in JSON at position.*$/, '').replace(/, ((\.{3})?".*"(\.{3})?) is not valid JSON$/s, ' in $1');
    throw fail(`is not valid JSON (${column}${visible(reason)})`, hintFor(line));
  }
}

function hintFor(line: string): string {
  if (/^\s*\[/.test(line)) return 'A dataset is JSON Lines: no brackets around the examples and no commas between them, one JSON object per line.';
  if (/\b(NaN|-?Infinity)\b/.test(line)) return 'JSON has neither NaN nor Infinity: write null or a number.';
  return 'Write one JSON object per line.';
}

/** An escape of half a surrogate pair, or of a whole one: text in UTF-8 cannot have a half in any other way. */
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/**
 * Where a line has half of a surrogate pair, which is no character: transformers refuses to tokenise it.
 * @returns the keys and indices that lead to the text (a key itself: to its object) and what is half; null for a line without one
 */
export function halfSurrogate(line: string, value: unknown): { path: (string | number)[]; half: string } | null {
  return SURROGATE_ESCAPE.test(line) ? findHalf(value, []) : null;
}

function findHalf(value: unknown, path: (string | number)[]): { path: (string | number)[]; half: string } | null {
  if (typeof value === 'string') {
    const half = /\p{Surrogate}/u.exec(value)?.[0];
    return half === undefined ? null : { path, half: visible(half) };
  }
  if (typeof value !== 'object' || value === null) return null;
  const isList = Array.isArray(value);
  for (const [key, item] of Object.entries(value)) {
    const found = (isList ? null : findHalf(key, path)) ?? findHalf(item, [...path, isList ? Number(key) : key]);
    if (found !== null) return found;
  }
  return null;
}
