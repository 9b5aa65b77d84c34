/** Jinja's filters that make numbers, and those for absent values. */
import { arithmetic, negative } from './arithmetic.ts';
import { attributeOf } from './attributes.ts';
import { compare } from './compare.ts';
import { TemplateError } from './error.ts';
import { filter } from './filter-table.ts';
import { format, parseSpec } from './format-spec.ts';
import { asText } from './signature.ts';
import { strip } from './strings.ts';
import { indexOf, isTrue, Markup, typeName, Undefined, type Value } from './values.ts';

const INTEGERS: Record<number, RegExp> = {
  2: /^(?:0b)?[01]+(?:_[01]+)*$/i,
  8: /^(?:0o)?[0-7]+(?:_[0-7]+)*$/i,
  10: /^\d+(?:_\d+)*$/,
  16: /^(?:0x)?[\da-f]+(?:_[\da-f]+)*$/i,
};
const PREFIXES: Record<number, string> = { 2: '0b', 8: '0o', 10: '', 16: '0x' };
const FLOAT = /^[+-]?(?:(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+)?|inf(?:inity)?|nan)$/i;

export const NUMBER_FILTERS = [
  filter('abs', [], (value) => (compare(arithmetic('+', value, 0n), 0n) < 0 ? negative(value) : arithmetic('+', value, 0n))),
  filter(
    'int',
    [
      ['default', 0n],
      ['base', 10n],
    ],
    (value, byDefault, base) => toInteger(value, indexOf(base!)) ?? truncated(toFloat(value)) ?? byDefault!,
  ),
  filter('float', [['default', 0.0]], (value, byDefault) => toFloat(value) ?? byDefault!),
  filter(
    'round',
    [
      ['precision', 0n],
      ['method', 'common'],
    ],
    (value, precision, method) => round(value, indexOf(precision!), asText(method!)),
  ),
  ...['default', 'd'].map((name) =>
    filter(
      name,
      [
        ['default_value', ''],
        ['boolean', false],
      ],
      (value, byDefault, boolean) => (value instanceof Undefined || (isTrue(boolean!) && !isTrue(value)) ? byDefault! : value),
    ),
  ),
  filter('attr', [['name']], (value, name) => attributeOnly(value, asText(name!))),
];

/** @returns null where Python's `int` raises TypeError or ValueError */
function toInteger(value: Value, base: number): bigint | null {
  if (typeof value === 'string') return integerOf(value, base);
  if (typeof value === 'number') {
    if (!Number.isFinite(value) && !Number.isNaN(value)) throw new TemplateError('it converts an infinite float to an integer');
    return truncated(value);
  }
  if (value instanceof Undefined) value.fail();
  return typeof value === 'bigint' || typeof value === 'boolean' ? BigInt(value) : null;
}

function integerOf(text: string, base: number): bigint | null {
  const pattern = INTEGERS[base];
  if (pattern === undefined) throw new TemplateError(`it reads integers to the base ${base}, which is not supported here`);
  const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(strip(text, 'strip', null))!;
  if (!pattern.test(digits)) return null;
  const prefix = PREFIXES[base]!;
  const bare = digits.replaceAll('_', '');
  const size = BigInt(prefix !== '' && !bare.toLowerCase().startsWith(prefix) ? prefix + bare : bare);
  return sign === '-' ? -size : size;
}

/** @returns null where Python's `float` raises TypeError or ValueError */
function toFloat(value: Value): number | null {
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') return Number(value);
  if (value instanceof Undefined) value.fail();
  if (typeof value !== 'string') return null;
  const text = strip(value, 'strip', null);
  if (!FLOAT.test(text)) return null;
  if (/inf/i.test(text)) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return /nan/i.test(text) ? Number.NaN : Number(text.replaceAll('_', ''));
}

const truncated = (value: number | null): bigint | null => (value === null || !Number.isFinite(value) ? null : BigInt(Math.trunc(value)));

/** Half to even, as Python's `round`. */
function round(value: Value, precision: number, method: string): Value {
  if (!['common', 'ceil', 'floor'].includes(method)) throw new TemplateError(`the filter round has no method ${method}`);
  const number = typeof value === 'boolean' ? BigInt(value) : value;
  if (method !== 'common') {
    const scale = arithmetic('**', 10n, BigInt(precision));
    return arithmetic('/', BigInt(Math[method as 'ceil' | 'floor'](Number(arithmetic('*', number, scale)))), scale);
  }
  if (typeof number === 'bigint' && precision >= 0) return number;
  if (typeof number !== 'number' || precision < 0)
    throw new TemplateError(`it rounds a ${typeName(value)} to ${precision} digits, which is not supported here`);
  return Number(format(number, { ...parseSpec('f'), precision }));
}

/** The attribute, never an item of that name. */
function attributeOnly(value: Value, name: string): Value {
  if (value instanceof Undefined) value.fail();
  if (value instanceof Markup) throw new TemplateError(`it uses the attribute ${name} of an escaped text, which is not supported here`);
  const found = attributeOf(value instanceof Map ? new Map() : value, name);
  return found instanceof Undefined || !(value instanceof Map) ? found : attributeOf(new Map([...value].filter(([key]) => key !== name)), name);
}
