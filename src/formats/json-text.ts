import type { JsonValue } from './json-value.ts';

/**
 * Writes a value so that `parseJsonValue` reads the same again: integers in full, floats with a point or an exponent, keys in their order.
 * @param options.sorted orders keys instead, so that two objects that differ only in that give the same text
 */
export function jsonText(value: JsonValue, options: { sorted?: boolean } = {}): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return floatText(value);
  if (Array.isArray(value)) return `[${value.map((item) => jsonText(item, options)).join(',')}]`;
  if (value instanceof Map) {
    const entries = [...value];
    if (options.sorted === true) entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${jsonText(item, options)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

/** JavaScript writes the float 1.0 as 1, which would be read as an integer. Beyond the largest float there is 1e400, which reads as infinity. */
function floatText(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? '1e400' : '-1e400';
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
