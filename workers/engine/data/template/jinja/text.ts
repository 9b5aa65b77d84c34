/** `str` and `repr` of values, as CPython writes them. */
import { GivenAsText, PyObject, Tuple, type Value, WatchedList } from './values.ts';

const SHORT_ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** `str(value)`: what `{{ value }}` prints. @throws TemplateError for objects whose text is a memory address */
export function str(value: Value): string {
  if (typeof value === 'string') return value;
  if (value instanceof PyObject && !(value instanceof Tuple || value instanceof WatchedList)) return value.str();
  return repr(value);
}

/** `repr(value)` */
export function repr(value: Value): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return floatText(value);
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(repr).join(', ')}]`;
  if (value instanceof Map) return `{${[...value].map(([key, each]) => `${repr(key)}: ${repr(each)}`).join(', ')}}`;
  if (value instanceof Tuple) return value.items.length === 1 ? `(${repr(value.items[0]!)},)` : `(${value.items.map(repr).join(', ')})`;
  if (value instanceof WatchedList) return repr(value.all());
  return value instanceof GivenAsText ? repr(value.value) : value.repr();
}

/** In double quotes only where that saves escapes; unprintable characters as their codes. */
function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\p{C}\p{Z}\\'"]/gu, (character) => {
    if (character === ' ') return character;
    if (character === "'" || character === '"') return character === quote ? `\\${character}` : character;
    const short = SHORT_ESCAPES[character];
    if (short !== undefined) return short;
    const code = character.codePointAt(0)!;
    const [letter, digits] = code < 0x100 ? ['x', 2] : code < 0x10000 ? ['u', 4] : ['U', 8];
    return `\\${letter}${code.toString(16).padStart(digits as number, '0')}`;
  });
  return quote + escaped + quote;
}

/** `repr` of a float: the shortest digits, with an exponent below 1e-4 and from 1e16. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  return Number.isInteger(value) ? `${Object.is(value, -0) ? '-0' : value}.0` : String(value);
}
