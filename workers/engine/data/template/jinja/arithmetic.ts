/** Python's arithmetic. Ints are exact; `/` gives a float; `//` and `%` round down, so that a remainder has the divisor's sign. */
import { TemplateError } from './error.ts';
import { checkItems, checkLength, MAX_INTEGER_BITS } from './limits.ts';
import { percentFormat } from './percent-format.ts';
import { indexOf, listOf, Markup, Tuple, textOf, typeName, Undefined, type Value } from './values.ts';

export type Operator = '+' | '-' | '*' | '/' | '//' | '%' | '**';

/** @throws TemplateError where Python raises TypeError or ZeroDivisionError */
export function arithmetic(operator: Operator, a: Value, b: Value): Value {
  if (typeof a === 'string' && typeof b === 'string' && operator === '+') {
    checkLength(a.length + b.length);
    return a + b;
  }
  const [left, right] = [numberOf(a), numberOf(b)];
  if (left !== null && right !== null) return ofNumbers(operator, left, right);
  for (const each of [a, b]) if (each instanceof Undefined) each.fail();
  const result = operator === '+' ? sum(a, b) : operator === '*' ? repeated(a, b) : operator === '%' ? formatted(a, b) : null;
  if (result === null) throw new TemplateError(`it computes ${typeName(a)} ${operator} ${typeName(b)}`);
  return result;
}

export function negative(value: Value): Value {
  const number = numberOf(value);
  if (number === null) return noSign(value, '-');
  return -number;
}

export const positive = (value: Value): Value => numberOf(value) ?? noSign(value, '+');

function noSign(value: Value, sign: string): never {
  if (value instanceof Undefined) value.fail();
  throw new TemplateError(`it computes ${sign}${typeName(value)}`);
}

/** A bool is an int. @returns null if the value is no number */
function numberOf(value: Value): bigint | number | null {
  if (typeof value === 'bigint' || typeof value === 'number') return value;
  return typeof value === 'boolean' ? BigInt(value) : null;
}

function ofNumbers(operator: Operator, a: bigint | number, b: bigint | number): Value {
  if (typeof a === 'bigint' && typeof b === 'bigint') return ofIntegers(operator, a, b);
  return ofFloats(operator, Number(a), Number(b));
}

function ofIntegers(operator: Operator, a: bigint, b: bigint): Value {
  switch (operator) {
    case '+':
      return bounded(a + b);
    case '-':
      return bounded(a - b);
    case '*':
      return bounded(a * b);
    case '/':
      if (b === 0n) throw new TemplateError('it divides by zero');
      return Number(a) / Number(b);
    case '//':
      return (a - modulo(a, b)) / b;
    case '%':
      return modulo(a, b);
    case '**':
      if (b < 0n) return ofFloats('**', Number(a), Number(b));
      if (b > BigInt(MAX_INTEGER_BITS) && a !== 0n && a !== 1n && a !== -1n) throw tooLarge();
      return bounded(a ** b);
  }
}

function modulo(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new TemplateError('it divides by zero');
  const rest = a % b;
  return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
}

const LARGEST = 2n ** BigInt(MAX_INTEGER_BITS);
const tooLarge = () => new TemplateError(`it computes an integer of more than ${MAX_INTEGER_BITS} bits`);

function bounded(value: bigint): bigint {
  if (value > LARGEST || value < -LARGEST) throw tooLarge();
  return value;
}

function ofFloats(operator: Operator, a: number, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '**':
      if (a === 0 && b < 0) throw new TemplateError('it divides by zero');
      if (a < 0 && !Number.isInteger(b)) throw new TemplateError('it computes a complex number');
      return power(a, b);
    default: {
      if (b === 0) throw new TemplateError('it divides by zero');
      if (operator === '/') return a / b;
      let rest = a % b;
      if (rest !== 0 && rest < 0 !== b < 0) rest += b;
      if (rest === 0) rest = b < 0 ? -0 : 0;
      return operator === '%' ? rest : Math.round((a - rest) / b);
    }
  }
}

function power(a: number, b: number): number {
  if (a === 1) return 1; // NaN in JavaScript if b is infinite
  const result = a ** b;
  if (!Number.isFinite(result) && Number.isFinite(a) && Number.isFinite(b)) throw new TemplateError('it computes a float that is too large');
  return result;
}

/** `a + b` of strings, lists or tuples */
function sum(a: Value, b: Value): Value | null {
  if (a instanceof Markup || b instanceof Markup) return markupSum(a, b);
  const [text, more] = [textOf(a), textOf(b)];
  if (text !== null && more !== null && (typeof a === 'string' || typeof b === 'string' || listOf(a) === null)) return text + more;
  if (a instanceof Tuple && b instanceof Tuple) return new Tuple([...a.items, ...b.items]);
  const [list, others] = [listOf(a), listOf(b)];
  if (list === null || others === null) return null;
  checkItems(list.length + others.length);
  return [...list, ...others];
}

/** What is added to an escaped text is escaped. */
function markupSum(a: Value, b: Value): Value | null {
  const [text, more] = [a, b].map((each) => (each instanceof Markup ? each.text : typeof each === 'string' ? escapeHtml(each) : null));
  return text == null || more == null ? null : new Markup(text + more);
}

/** MarkupSafe's `escape` of a string. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => HTML[character]!);
const HTML: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' };

/** `text * count`, `list * count`, in either order */
function repeated(a: Value, b: Value): Value | null {
  const [thing, times] = numberOf(b) === null ? [b, a] : [a, b];
  if (typeof times !== 'bigint' && typeof times !== 'boolean') return null;
  const count = Math.max(0, indexOf(times));
  const text = textOf(thing);
  if (typeof thing === 'string' && text !== null) {
    checkLength(text.length * count);
    return text.repeat(count);
  }
  const items = thing instanceof Tuple ? thing.items : listOf(thing);
  if (items === null) return null;
  checkItems(items.length * count);
  const many = Array.from({ length: count }, () => items).flat() as Value[];
  return thing instanceof Tuple ? new Tuple(many) : many;
}

function formatted(a: Value, b: Value): Value | null {
  const text = textOf(a);
  return text === null ? null : percentFormat(text, b);
}
