/** The methods of `str` that a template can call. */
import { TemplateError } from './error.ts';
import { pad } from './format-spec.ts';
import { checkLength } from './limits.ts';
import { asText, asTextOrNull, bind, type Parameter } from './signature.ts';
import { sliceBounds } from './slicing.ts';
import {
  capitalize,
  codePointCount,
  codePointPosition,
  codePoints,
  isLower,
  isUpper,
  replace,
  rsplit,
  type Side,
  SPACE,
  split,
  splitLines,
  strip,
  title,
} from './strings.ts';
import { Callable, indexOf, isTrue, Tuple, toList, type Value } from './values.ts';

type Body = (text: string, ...args: Value[]) => Value;
interface Method {
  parameters: readonly Parameter[];
  body: Body;
  /** Whether Python lets arguments be given by name. */
  named: boolean;
}

const method = (parameters: readonly Parameter[], body: Body, named = false): Method => ({ parameters, body, named });
const plain = (body: (text: string) => Value): Method => method([], body);
const RANGE: readonly Parameter[] = [
  ['start', null],
  ['end', null],
];
const FILL: readonly Parameter[] = [['width'], ['fillchar', ' ']];
const SPLIT: readonly Parameter[] = [
  ['sep', null],
  ['maxsplit', -1n],
];
const every = (pattern: string): Method => {
  const whole = new RegExp(`^[${pattern}]+$`, 'u');
  return plain((text) => whole.test(text));
};

const METHODS: Record<string, Method> = {
  capitalize: plain(capitalize),
  casefold: plain((text) => text.toLowerCase().replaceAll('ß', 'ss').replaceAll('ς', 'σ')),
  center: method(FILL, (text, width, fill) => center(text, indexOf(width!), oneCharacter(fill!))),
  count: method([['sub'], ...RANGE], (text, sub, start, end) => count(part(text, start!, end!), asText(sub!))),
  endswith: method([['suffix'], ...RANGE], (text, suffix, start, end) => oneOf(suffix!, (each) => part(text, start!, end!).endsWith(each))),
  expandtabs: method([['tabsize', 8n]], (text, size) => expandTabs(text, indexOf(size!)), true),
  find: method([['sub'], ...RANGE], (text, sub, start, end) => find(text, asText(sub!), { start: start!, end: end!, last: false })),
  index: method([['sub'], ...RANGE], (text, sub, start, end) => mustFind(find(text, asText(sub!), { start: start!, end: end!, last: false }))),
  isalnum: every('\\p{L}\\p{N}'),
  isalpha: every('\\p{L}'),
  isascii: plain((text) => /^[\0-\x7f]*$/.test(text)),
  isdecimal: every('\\p{Nd}'),
  isdigit: every('\\p{Nd}²³¹⁰⁴-⁹₀-₉①-⑨'),
  isidentifier: plain((text) => /^[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}]*$/u.test(text)),
  islower: plain(isLower),
  isnumeric: every('\\p{N}'),
  isprintable: plain((text) => !/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(text)),
  isspace: every(SPACE),
  istitle: plain((text) => /\p{L}/u.test(text) && title(text) === text),
  isupper: plain(isUpper),
  join: method([['iterable']], (text, items) => toList(items!).map(asText).join(text)),
  ljust: method(FILL, (text, width, fill) => pad(text, { fill: oneCharacter(fill!), align: '<', width: indexOf(width!) }, '<')),
  lower: plain((text) => text.toLowerCase()),
  partition: method([['sep']], (text, sep) => partition(text, separator(sep!), text.indexOf(asText(sep!)), false)),
  removeprefix: method([['prefix']], (text, prefix) => (text.startsWith(asText(prefix!)) ? text.slice(asText(prefix!).length) : text)),
  removesuffix: method([['suffix']], (text, suffix) => (text.endsWith(asText(suffix!)) ? text.slice(0, text.length - asText(suffix!).length) : text)),
  replace: method([['old'], ['new'], ['count', -1n]], (text, old, by, most) => replaceIn(text, asText(old!), asText(by!), indexOf(most!))),
  rfind: method([['sub'], ...RANGE], (text, sub, start, end) => find(text, asText(sub!), { start: start!, end: end!, last: true })),
  rindex: method([['sub'], ...RANGE], (text, sub, start, end) => mustFind(find(text, asText(sub!), { start: start!, end: end!, last: true }))),
  rjust: method(FILL, (text, width, fill) => pad(text, { fill: oneCharacter(fill!), align: '>', width: indexOf(width!) }, '>')),
  rpartition: method([['sep']], (text, sep) => partition(text, separator(sep!), text.lastIndexOf(asText(sep!)), true)),
  rsplit: method(SPLIT, (text, sep, most) => rsplit(text, separatorOrNull(sep!), indexOf(most!)), true),
  split: method(SPLIT, (text, sep, most) => split(text, separatorOrNull(sep!), indexOf(most!)), true),
  splitlines: method([['keepends', false]], (text, keep) => splitLines(text, isTrue(keep!)), true),
  startswith: method([['prefix'], ...RANGE], (text, prefix, start, end) => oneOf(prefix!, (each) => part(text, start!, end!).startsWith(each))),
  swapcase: plain((text) => [...text].map((each) => (isLower(each) ? each.toUpperCase() : each.toLowerCase())).join('')),
  title: plain(title),
  upper: plain((text) => text.toUpperCase()),
  zfill: method([['width']], (text, width) => zfill(text, indexOf(width!))),
  ...Object.fromEntries(
    (['strip', 'lstrip', 'rstrip'] as Side[]).map((side) => [
      side,
      method([['chars', null]], (text, characters) => strip(text, side, asTextOrNull(characters!))),
    ]),
  ),
};

/** Attributes that Python's strings have and templates here do not. */
const UNSUPPORTED = ['encode', 'maketrans', 'translate'];

/** `text.name` @returns undefined if strings have no such attribute */
export function stringMethod(text: string, name: string): Value | undefined {
  if (UNSUPPORTED.includes(name)) throw new TemplateError(`it uses the string method ${name}, which is not supported here`);
  const found = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  if (found === undefined) return undefined;
  const { parameters, body, named } = found;
  return new Callable(name, (args, keywords) => {
    if (!named && keywords.size > 0) throw new TemplateError(`str.${name}() takes no keyword arguments`);
    return body(text, ...bind(name, parameters, args, keywords));
  });
}

/** `text[start:end]`; both may be None. */
function part(text: string, start: Value, end: Value): string {
  if (start === null && end === null) return text;
  const points = codePoints(text);
  const { from, to } = sliceBounds(points.length, start, end);
  return typeof points === 'string' ? points.slice(from, to) : points.slice(from, to).join('');
}

/** startswith and endswith take a string or a tuple of strings. */
function oneOf(given: Value, fits: (text: string) => boolean): boolean {
  return given instanceof Tuple ? given.items.some((each) => fits(asText(each))) : fits(asText(given));
}

function count(text: string, sub: string): bigint {
  return BigInt(sub === '' ? codePointCount(text) + 1 : text.split(sub).length - 1);
}

function find(text: string, sub: string, { start, end, last }: { start: Value; end: Value; last: boolean }): bigint {
  const within = part(text, start, end);
  const unit = last ? within.lastIndexOf(sub) : within.indexOf(sub);
  const first = start === null ? 0 : sliceBounds(codePointCount(text), start, null).from;
  return unit === -1 ? -1n : BigInt(codePointPosition(within, unit) + first);
}

function mustFind(position: bigint): bigint {
  if (position === -1n) throw new TemplateError('it looks for the index of a text that is not there');
  return position;
}

function separator(value: Value): string {
  const text = asText(value);
  if (text === '') throw new TemplateError('it splits at an empty separator');
  return text;
}
const separatorOrNull = (value: Value): string | null => (value === null ? null : separator(value));

/** @param at where the separator is, in UTF-16 units; -1 if nowhere */
function partition(text: string, sep: string, at: number, fromEnd: boolean): Tuple {
  if (at === -1) return new Tuple(fromEnd ? ['', '', text] : [text, '', '']);
  return new Tuple([text.slice(0, at), sep, text.slice(at + sep.length)]);
}

/** `text.replace(old, by, most)`, within the bound on lengths. */
export function replaceIn(text: string, old: string, by: string, most: number): string {
  if (by.length > old.length) checkLength(text.length + Number(count(text, old)) * (by.length - old.length));
  return replace(text, old, by, most);
}

function center(text: string, width: number, fill: string): string {
  const missing = width - codePointCount(text);
  if (missing <= 0) return text;
  checkLength(width);
  // CPython puts the odd one to the left if the width is odd.
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}

function oneCharacter(value: Value): string {
  const text = asText(value);
  if (codePointCount(text) !== 1) throw new TemplateError('it pads with what is not one character');
  return text;
}

function zfill(text: string, width: number): string {
  const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(text)!;
  const missing = width - codePointCount(text);
  if (missing > 0) checkLength(width);
  return sign + '0'.repeat(Math.max(0, missing)) + digits;
}

function expandTabs(text: string, size: number): string {
  let column = 0;
  let expanded = '';
  for (const character of text) {
    const added = character === '\t' ? ' '.repeat(size > 0 ? size - (column % size) : 0) : character;
    checkLength(expanded.length + added.length);
    expanded += added;
    column = character === '\n' || character === '\r' ? 0 : column + added.length;
  }
  return expanded;
}
