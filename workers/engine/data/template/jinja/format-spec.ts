/** Python's format specifications, `[[fill]align][sign][#][0][width][,][.precision][type]`, as `str.format` and `%` formatting use them. */
import { TemplateError } from './error.ts';
import { checkLength } from './limits.ts';
import { codePointCount, codePoints } from './strings.ts';
import { floatText } from './text.ts';
import { textOf, typeName, type Value } from './values.ts';

export interface Spec {
  fill: string;
  align: '<' | '>' | '^' | '=' | null;
  sign: '+' | '-' | ' ';
  alternate: boolean;
  width: number;
  grouping: ',' | '_' | null;
  precision: number | null;
  /** d, f, e, g, x, o, b, s, c, %, …; empty for the value's own. */
  type: string;
}

const PATTERN = /^(?:(.)?([<>^=]))?([+\- ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/su;

/** @throws TemplateError if Python has no such specification */
export function parseSpec(text: string): Spec {
  const found = PATTERN.exec(text);
  if (found === null) throw new TemplateError(`it formats with ${JSON.stringify(text)}, which is not a format`);
  const [, fill, align, sign, alternate, zero, width, grouping, precision, type] = found;
  return {
    fill: fill ?? (zero !== undefined ? '0' : ' '),
    align: (align as Spec['align']) ?? (zero !== undefined ? '=' : null),
    sign: (sign as Spec['sign']) ?? '-',
    alternate: alternate !== undefined,
    width: width === undefined ? 0 : Number(width),
    grouping: (grouping as Spec['grouping']) ?? null,
    precision: precision === undefined ? null : Number(precision),
    type: type ?? '',
  };
}

/** `format(value, spec)` @throws TemplateError where the type of value has no such format */
export function format(value: Value, spec: Spec): string {
  const number = typeof value === 'boolean' ? BigInt(value) : value; // a bool is an int
  if (typeof number === 'bigint') return formatInteger(number, spec);
  if (typeof number === 'number') return padNumber(...floatDigits(number, spec), spec);
  const text = textOf(value);
  if (text === null || !['', 's'].includes(spec.type))
    throw new TemplateError(`it formats a ${typeName(value)} as ${spec.type === '' ? 'text' : spec.type}`);
  const cut = spec.precision === null ? text : [...text].slice(0, spec.precision).join('');
  return pad(cut, spec, '<');
}

function formatInteger(value: bigint, spec: Spec): string {
  if ('eEfFgG%'.includes(spec.type) && spec.type !== '') return padNumber(...floatDigits(Number(value), spec), spec);
  if (spec.type === 's') throw new TemplateError('it formats an int as s');
  if (spec.type === 'c') return pad(String.fromCodePoint(Number(value)), spec, '<');
  if (spec.precision !== null) throw new TemplateError('it formats an int with a precision');
  const base = { b: 2, o: 8, x: 16, X: 16 }[spec.type] ?? 10;
  const digits = (value < 0n ? -value : value).toString(base);
  const prefix = spec.alternate && base !== 10 ? `0${spec.type}` : '';
  return padNumber(value < 0n, prefix + (spec.type === 'X' ? digits.toUpperCase() : digits), spec);
}

/** @returns whether it is negative, and its digits */
function floatDigits(value: number, { type, precision, alternate }: Spec): [boolean, string] {
  const isNegative = value < 0 || Object.is(value, -0);
  const size = Math.abs(value);
  const lower = type.toLowerCase();
  if (!Number.isFinite(size))
    return [value < 0, (type === '' || type === lower ? floatText(size) : floatText(size).toUpperCase()) + (type === '%' ? '%' : '')];
  const digits = precision ?? 6;
  let text: string;
  if (lower === 'f') text = fixed(size, digits);
  else if (lower === '%') text = `${fixed(size * 100, digits)}%`;
  else if (lower === 'e') text = exponent(size, digits);
  else if (lower === '' && precision === null) text = floatText(size);
  else text = general(size, Math.max(1, digits), { keepsZeros: alternate, isPlain: lower === '' });
  return [isNegative, type !== lower ? text.toUpperCase() : text];
}

const MAX_DIGITS = 100; // of JavaScript's toFixed; doubles have no more than 17 that matter

function fixed(size: number, digits: number): string {
  if (digits > MAX_DIGITS) throw new TemplateError(`it formats a float with ${digits} digits; the limit is ${MAX_DIGITS}`);
  if (size >= 1e21) return BigInt(size).toString() + (digits > 0 ? `.${'0'.repeat(digits)}` : '');
  const rounded = size.toFixed(digits);
  // Exactly between two: JavaScript takes the larger one, Python the even one.
  const exact = size.toFixed(MAX_DIGITS);
  const cut = exact.slice(0, exact.length - MAX_DIGITS + digits).replace(/\.$/, '');
  return /^50*$/.test(exact.slice(exact.length - MAX_DIGITS + digits)) && /[02468]$/.test(cut) ? cut : rounded;
}

const exponent = (size: number, digits: number): string => size.toExponential(Math.min(digits, MAX_DIGITS)).replace(/e([+-])(\d)$/, 'e$10$2');

/** `g`: fixed or with an exponent, whichever is shorter. @param isPlain without a type, at least one digit follows the point */
function general(size: number, digits: number, { keepsZeros, isPlain }: { keepsZeros: boolean; isPlain: boolean }): string {
  const power = size === 0 ? 0 : Number(size.toExponential(digits - 1).split('e')[1]);
  const withExponent = power < -4 || power >= (isPlain ? digits - 1 : digits);
  const text = withExponent && size !== 0 ? exponent(size, digits - 1) : fixed(size, Math.max(0, digits - 1 - power));
  const short = keepsZeros ? text : text.replace(/(\.\d*?)0+(?=e|$)/, '$1').replace(/\.(?=e|$)/, '');
  return isPlain && !/[.e]/.test(short) ? `${short}.0` : short;
}

function padNumber(isNegative: boolean, digits: string, spec: Spec): string {
  const grouped = spec.grouping === null ? digits : digits.replace(/^\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, spec.grouping!));
  const sign = isNegative ? '-' : spec.sign === '-' ? '' : spec.sign;
  if (spec.align !== '=') return pad(sign + grouped, spec, '>');
  return sign + pad(grouped, { ...spec, align: '>', width: spec.width - sign.length }, '>');
}

export function pad(text: string, { fill, align, width }: Pick<Spec, 'fill' | 'align' | 'width'>, byDefault: '<' | '>'): string {
  const missing = width - codePointCount(text);
  if (missing <= 0) return text;
  checkLength(width);
  const side = align ?? byDefault;
  const left = side === '>' || side === '=' ? missing : side === '<' ? 0 : Math.floor(missing / 2);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}

/** The first code points of a text. */
export const cutTo = (text: string, length: number): string => {
  const points = codePoints(text);
  return typeof points === 'string' ? points.slice(0, length) : points.slice(0, length).join('');
};
