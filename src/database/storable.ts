/** Postgres holds neither NUL nor half of a surrogate pair, in text and in JSON alike. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;
const EACH_UNSTORABLE = new RegExp(UNSTORABLE, 'gu');

/** Unicode's replacement character, as decoders write it for bytes that are no character. */
const REPLACEMENT = '\uFFFD';

export const isStorable = (text: string): boolean => !UNSTORABLE.test(text);

/**
 * What can be stored of a value: in its strings, however deep, and in its objects' keys, each character that Postgres cannot hold becomes U+FFFD.
 * Instances of classes (dates, bytes, Prisma's own values) pass as they are.
 * @returns the value itself when Postgres can hold all of it: a large receipt is walked, not copied
 */
export function storable<T>(value: T): T {
  return clean(value) as T;
}

function clean(value: unknown): unknown {
  if (typeof value === 'string') return isStorable(value) ? value : value.replaceAll(EACH_UNSTORABLE, REPLACEMENT);
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
