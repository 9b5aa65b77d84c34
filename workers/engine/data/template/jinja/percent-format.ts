/** `text % values`, Python's printf. */

import { dictGet } from './dict.ts';
import { TemplateError } from './error.ts';
import { cutTo, format, pad, type Spec } from './format-spec.ts';
import { repr, str } from './text.ts';
import { dictOf, Tuple, typeName, Undefined, type Value } from './values.ts';

const DIRECTIVE = /%(?:\(([^)]*)\))?([#0\- +]*)(\*|\d+)?(?:\.(\*|\d+))?[hlL]?(.)?/gsu;

/** @throws TemplateError where Python raises TypeError or ValueError */
export function percentFormat(text: string, values: Value): string {
  const dict = dictOf(values);
  const given: readonly Value[] = values instanceof Tuple ? values.items : [values];
  let used = 0;
  const next = (): Value => {
    const value = given[used++];
    if (value === undefined) throw new TemplateError('it formats with too few values');
    return value;
  };
  const size = (given: string | undefined): number | null => (given === undefined ? null : Number(given === '*' ? next() : given));

  const result = text.replace(DIRECTIVE, (_, key: string | undefined, flags: string, width?: string, precision?: string, type?: string) => {
    if (type === '%') return '%';
    if (key !== undefined && dict === null) throw new TemplateError('it formats by name without a dict');
    const [columns, digits] = [size(width), size(precision)];
    const value = key === undefined ? next() : dictGet(dict!, key);
    if (value === undefined) throw new TemplateError(`it formats with the key ${JSON.stringify(key)}, which the dict does not have`);
    return directive(value, type, { flags, width: columns ?? 0, precision: digits });
  });
  const isMapping = dict !== null && used === 0;
  if (!isMapping && used < given.length) throw new TemplateError('it formats with too many values');
  return result;
}

function directive(
  value: Value,
  type: string | undefined,
  { flags, width, precision }: { flags: string; width: number; precision: number | null },
): string {
  const isLeft = flags.includes('-');
  const spec: Spec = {
    fill: flags.includes('0') && !isLeft ? '0' : ' ',
    align: isLeft ? '<' : flags.includes('0') ? '=' : '>',
    sign: flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '-',
    alternate: flags.includes('#'),
    width,
    grouping: null,
    precision,
    type: type ?? '',
  };
  const text = (shown: string) => pad(precision === null ? shown : cutTo(shown, precision), { fill: ' ', align: isLeft ? '<' : '>', width }, '>');
  switch (type) {
    case 's':
      return text(str(value));
    case 'r':
    case 'a':
      return text(repr(value));
    case 'c':
      return text(typeof value === 'bigint' ? String.fromCodePoint(Number(value)) : oneCharacter(value));
    case 'd':
    case 'i':
    case 'u':
      return format(integer(value), { ...spec, type: 'd', precision: null });
    case 'x':
    case 'X':
    case 'o':
      if (typeof value === 'number') throw new TemplateError(`it formats a float with %${type}`);
      return format(integer(value), { ...spec, precision: null });
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
      return format(Number(number(value)), spec);
    default:
      throw new TemplateError(`it formats with %${type ?? ''}, which is not a format`);
  }
}

function number(value: Value): bigint | number {
  if (typeof value === 'bigint' || typeof value === 'number') return value;
  if (typeof value === 'boolean') return BigInt(value);
  if (value instanceof Undefined) value.fail();
  throw new TemplateError(`it formats a ${typeName(value)} as a number`);
}

function integer(value: Value): bigint {
  const given = number(value);
  if (typeof given === 'bigint') return given;
  if (!Number.isFinite(given)) throw new TemplateError('it formats a float as an integer that is none');
  return BigInt(Math.trunc(given));
}

function oneCharacter(value: Value): string {
  if (typeof value === 'string' && [...value].length === 1) return value;
  throw new TemplateError('it formats with %c what is not one character');
}
