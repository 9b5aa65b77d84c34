import { withEscapes } from '../formats/visible.ts';

/** Postgres can hold neither NUL nor a lone surrogate, in text or in JSON. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;
const EACH_UNSTORABLE = new RegExp(UNSTORABLE, 'gu');

export const isStorable = (text: string): boolean => !UNSTORABLE.test(text);

/**
 * Replaces each character that Postgres cannot hold with its JSON escape as visible text (`\u0000`), in strings at any depth and in object keys.
 * Class instances (dates, bytes, Prisma's own values) are left as they are.
 * @returns the value itself if nothing had to be replaced: a large receipt is walked, not copied
 */
export function storable<T>(value: T): T {
  return clean(value) as T;
}

function clean(value: unknown): unknown {
  if (typeof value === 'string') return isStorable(value) ? value : withEscapes(value, EACH_UNSTORABLE);
  if (Array.isArray(value)) return cleanArray(value);
  return isPlainObject(value) ? cleanObject(value) : value;
}

function cleanArray(values: unknown[]): unknown[] {
  const cleaned = values.map(clean);
  return cleaned.every((item, index) => Object.is(item, values[index])) ? values : cleaned;
}

function cleanObject(object: object): object {
  const entries = Object.entries(object);
  const cleaned = entries.map(([key, value]) => [clean(key), clean(value)] as const);
  const isSame = cleaned.every(([key, value], index) => key === entries[index]![0] && Object.is(value, entries[index]![1]));
  return isSame ? object : Object.fromEntries(cleaned);
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
