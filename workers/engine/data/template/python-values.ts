/** Python's operations on values, where the Jinja library follows JavaScript instead. Checked against CPython 3.11 and Jinja 3.1. */

/** A value at run time, as the Jinja library represents it; members of lists and dicts have this type too. */
export interface TemplateValue {
  type: string;
  value: unknown;
}

const NUMBERS = ['IntegerValue', 'FloatValue', 'BooleanValue'];
const LISTS = ['ArrayValue', 'TupleValue'];
const DICTS = ['ObjectValue', 'KeywordArgumentsValue'];
const isList = (each: TemplateValue): each is { type: string; value: TemplateValue[] } => LISTS.includes(each.type);
const isDict = (each: TemplateValue): each is { type: string; value: Map<string, TemplateValue> } => DICTS.includes(each.type);
const isText = (each: TemplateValue): each is { type: string; value: string } => each.type === 'StringValue';
const isUndefined = ({ type }: TemplateValue): boolean => type === 'UndefinedValue';

// As str.isspace: without the byte order mark, with the information separators and next line.
const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const SHORT_ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** `str(value)`, and what `{{ value }}` prints. */
export function pythonStr(each: TemplateValue): string {
  if (isText(each)) return each.value;
  return isUndefined(each) ? '' : pythonRepr(each);
}

/** `repr(value)` @throws Error for values without a text form, such as functions */
function pythonRepr(each: TemplateValue): string {
  if (isText(each)) return quoted(each.value);
  if (isList(each)) {
    const items = each.value.map(pythonRepr);
    return each.type === 'ArrayValue' ? `[${items.join(', ')}]` : items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
  }
  if (isDict(each)) return `{${[...each.value].map(([key, value]) => `${quoted(key)}: ${pythonRepr(value)}`).join(', ')}}`;
  switch (each.type) {
    case 'NullValue':
      return 'None';
    case 'UndefinedValue':
      return 'Undefined';
    case 'BooleanValue':
      return each.value === true ? 'True' : 'False';
    case 'IntegerValue':
      return String(each.value);
    case 'FloatValue':
      return pythonFloat(each.value as number);
    default:
      throw new Error(`it prints a ${each.type}, which has no text form`);
  }
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
export function pythonFloat(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  return Number.isInteger(value) ? `${Object.is(value, -0) ? '-0' : value}.0` : String(value);
}

/** `a == b`: dicts and lists by content, True equals 1, values of different types differ. */
export function pythonEquals(a: TemplateValue, b: TemplateValue): boolean {
  if (NUMBERS.includes(a.type) && NUMBERS.includes(b.type)) return Number(a.value) === Number(b.value);
  if (isList(a) && isList(b)) return a.value.length === b.value.length && a.value.every((item, index) => pythonEquals(item, b.value[index]!));
  if (isDict(a) && isDict(b)) {
    if (a.value.size !== b.value.size) return false;
    return [...a.value].every(([key, item]) => b.value.has(key) && pythonEquals(item, b.value.get(key)!));
  }
  return a.type === b.type && a.value === b.value;
}

/** `item in container` @throws Error as Python does, when it is not a container */
export function pythonIn(item: TemplateValue, container: TemplateValue): boolean {
  if (isUndefined(container)) return false;
  if (isList(container)) return container.value.some((each) => pythonEquals(each, item));
  if (isDict(container)) return isText(item) && container.value.has(item.value);
  if (!isText(container)) throw new Error(`it looks into a ${container.type}, which is not a container`);
  if (!isText(item)) throw new Error(`it looks for a ${item.type} in a string`);
  return container.value.includes(item.value);
}

/** `a + b + …` of strings @throws Error as Python does, when one is not a string */
export function pythonConcat(operands: readonly TemplateValue[]): string {
  const other = operands.find((each) => !isText(each));
  if (other !== undefined) throw new Error(`it adds a ${other.type} to a string`);
  return operands.map(({ value }) => value).join('');
}

/** `len(value)`; for strings in code points */
export function pythonLength(each: TemplateValue): number {
  if (isText(each)) return [...each.value].length;
  if (isList(each)) return each.value.length;
  if (isDict(each)) return each.value.size;
  if (isUndefined(each)) return 0;
  throw new Error(`it asks for the length of a ${each.type}`);
}

export type Side = 'strip' | 'lstrip' | 'rstrip';

/** `value.strip(characters)` @param characters white space when undefined or None */
export function pythonStrip(each: TemplateValue, side: Side, characters?: string | null): string {
  if (!isText(each)) throw new Error(`it strips a ${each.type}, which is not a string`);
  const set = characters === undefined || characters === null ? SPACE : characters.replace(/[\\\]^-]/g, '\\$&');
  if (set === '') return each.value;
  const start = side === 'rstrip' ? each.value : each.value.replace(new RegExp(`^[${set}]+`, 'u'), '');
  if (side === 'lstrip') return start;
  // Not by a pattern anchored at the end, which retries at every character: quadratic on long runs.
  const inSet = new RegExp(`^[${set}]$`, 'u');
  const rest = [...start];
  let end = rest.length;
  while (end > 0 && inSet.test(rest[end - 1]!)) end -= 1;
  return end === rest.length ? start : rest.slice(0, end).join('');
}

/** `value.capitalize()`: the first character in upper case, the rest in lower case. */
export const pythonCapitalize = (text: string): string => {
  const [first = '', ...rest] = text;
  return first.toUpperCase() + rest.join('').toLowerCase();
};

/** `value.title()`: a letter after a non-letter in upper case, every other in lower case. */
export const pythonTitle = (text: string): string => text.replace(/\p{L}+/gu, pythonCapitalize);

/** Jinja's `title` filter, where words end only at white space, a hyphen or an opening bracket. */
export const jinjaTitle = (text: string): string => text.replace(new RegExp(`[^-${SPACE}({[<]+`, 'gu'), pythonCapitalize);

/** Jinja's tests for the type of a value. */
export const pythonTests: Record<string, (each: TemplateValue) => boolean> = {
  iterable: (each) => isText(each) || isList(each) || isDict(each) || isUndefined(each),
  sequence: (each) => isText(each) || isList(each) || isDict(each) || isUndefined(each),
  number: ({ type }) => NUMBERS.includes(type),
};
