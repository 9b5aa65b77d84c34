/**
 * JSON with Python's data model, for values that a chat template prints again. `JSON.parse` turns 1.0 into 1, rounds long integers and moves keys that
 * look like numbers to the front; `json.loads` does none of that.
 */
import { visit } from 'jsonc-parser';

/** Integers (no fraction, no exponent) are bigint, Python's int; every other number is number, Python's float. */
export type JsonValue = null | boolean | string | bigint | number | JsonValue[] | JsonObject;
/** Keys in the order of the text. Of a repeated key the last value counts, in the place of the first. */
export type JsonObject = Map<string, JsonValue>;

/** Python's limit for integers in text (sys.set_int_max_str_digits): converting more digits takes quadratic time. */
export const MAX_INTEGER_DIGITS = 4300;
/** Python stops near 1,000 levels of lists and objects. */
export const MAX_JSON_DEPTH = 900;

const INTEGER = /^-?\d+$/;

/** @throws SyntaxError where `JSON.parse` throws, RangeError where only Python's `json.loads` fails: integers that are too long, nesting that is too deep */
export function parseJsonValue(text: string): JsonValue {
  JSON.parse(text); // The visitor below also reads what is not quite JSON.
  const open: (JsonValue[] | JsonObject)[] = [];
  const keys: string[] = [];
  let result: JsonValue = null;

  const add = (value: JsonValue): void => {
    const parent = open.at(-1);
    if (parent === undefined) result = value;
    else if (Array.isArray(parent)) parent.push(value);
    else parent.set(keys.pop()!, value);
  };
  const begin = (value: JsonValue[] | JsonObject): void => {
    if (open.length >= MAX_JSON_DEPTH) throw new RangeError(`lists and objects are nested more than ${MAX_JSON_DEPTH} deep`);
    add(value);
    open.push(value);
  };
  const end = (): void => {
    open.pop();
  };

  visit(text, {
    onObjectBegin: () => begin(new Map()),
    onArrayBegin: () => begin([]),
    onObjectEnd: end,
    onArrayEnd: end,
    onObjectProperty: (key) => {
      keys.push(key);
    },
    onLiteralValue: (value: unknown, offset, length) =>
      add(typeof value === 'number' ? number(text.slice(offset, offset + length)) : (value as JsonValue)),
  });
  return result;
}

function number(text: string): bigint | number {
  if (!INTEGER.test(text)) return Number(text);
  if (text.length - (text.startsWith('-') ? 1 : 0) > MAX_INTEGER_DIGITS)
    throw new RangeError(`an integer has more than ${MAX_INTEGER_DIGITS} digits`);
  return BigInt(text);
}

/** @param value as `JSON.parse` reads it @returns whether its lists and objects are nested more than `levels` deep */
export function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((item) => isDeeperThan(levels - 1, item));
}

export const isJsonObject = (value: unknown): value is JsonObject => value instanceof Map;

/** Values of `JSON.parse` in Python's model, where the text is no longer at hand: whole numbers become integers. */
export function toJsonValue(value: unknown): JsonValue {
  if (typeof value === 'number') return Number.isInteger(value) && !Object.is(value, -0) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toJsonValue);
  if (typeof value === 'object' && value !== null && !(value instanceof Map))
    return new Map(Object.entries(value).map(([key, each]) => [key, toJsonValue(each)]));
  return value as JsonValue;
}
