/** Jinja's filters on lists, dicts and whatever else can be iterated over. */
import { arithmetic } from './arithmetic.ts';
import { itemOf } from './attributes.ts';
import { compare, equals, keyIn } from './compare.ts';
import { dictSet } from './dict.ts';
import type { Operation } from './environment.ts';
import { TemplateError } from './error.ts';
import { filter } from './filter-table.ts';
import { checkItems, checkLength } from './limits.ts';
import { GroupTuple } from './objects.ts';
import type { Parameter } from './signature.ts';
import { codePointCount } from './strings.ts';
import { str } from './text.ts';
import {
  type Dict,
  dictOf,
  indexOf,
  isTrue,
  itemsOf,
  iterate,
  Lazy,
  PyObject,
  Tuple,
  textOf,
  toList,
  typeName,
  Undefined,
  type Value,
} from './values.ts';

const SORTED: readonly Parameter[] = [
  ['case_sensitive', false],
  ['attribute', null],
];

export const SEQUENCE_FILTERS: [string, Operation<Value>][] = [
  ...['length', 'count'].map((name) => filter(name, [], (value) => BigInt(lengthOf(value)))),
  filter('list', [], toList),
  filter('first', [], (value) => first(value)),
  filter('last', [], (value) => {
    if (value instanceof Lazy) throw new TemplateError('it asks for the last item of a generator; put list before last');
    const [last] = toReversed(value);
    return last === undefined ? new Undefined('No last item, sequence was empty.') : last;
  }),
  filter('reverse', [], (value) => (typeof value === 'string' ? [...value].reverse().join('') : new Lazy(toReversed(value).values()))),
  filter(
    'join',
    [
      ['d', ''],
      ['attribute', null],
    ],
    (value, separator, attribute) => join(toList(value).map(reader(attribute!)), str(separator!)),
  ),
  filter('items', [], (value) => new Lazy(pairs(value).values())),
  filter(
    'dictsort',
    [
      ['case_sensitive', false],
      ['by', 'key'],
      ['reverse', false],
    ],
    (value, caseSensitive, by, reverse) => {
      if (by !== 'key' && by !== 'value') throw new TemplateError('dictsort sorts by "key" or "value"');
      const part = (pair: Value) => (pair as Tuple).items[by === 'key' ? 0 : 1]!;
      return sorted(dictPairs(value), (pair) => [comparable(part(pair), caseSensitive!)], isTrue(reverse!));
    },
  ),
  filter('sort', [['reverse', false], ...SORTED], (value, reverse, caseSensitive, attribute) => {
    const readers = (typeof attribute === 'string' ? attribute.split(',') : [attribute!]).map((each) => reader(each));
    return sorted(toList(value), (item) => readers.map((read) => comparable(read(item), caseSensitive!)), isTrue(reverse!));
  }),
  filter(
    'unique',
    SORTED,
    (value, caseSensitive, attribute) => new Lazy(unique(value, (item) => comparable(reader(attribute!)(item), caseSensitive!))),
  ),
  filter('min', SORTED, (value, caseSensitive, attribute) => extreme(value, -1, (item) => comparable(reader(attribute!)(item), caseSensitive!))),
  filter('max', SORTED, (value, caseSensitive, attribute) => extreme(value, 1, (item) => comparable(reader(attribute!)(item), caseSensitive!))),
  filter(
    'sum',
    [
      ['attribute', null],
      ['start', 0n],
    ],
    (value, attribute, start) => {
      if (textOf(start!) !== null) throw new TemplateError('the filter sum cannot add strings; use join');
      return toList(value)
        .map(reader(attribute!))
        .reduce((sum, each) => arithmetic('+', sum, each), start!);
    },
  ),
  filter('groupby', [['attribute'], ['default', null], ['case_sensitive', false]], (value, attribute, byDefault, caseSensitive) => {
    const read = reader(attribute!, byDefault!);
    return groups(toList(value), read, (item) => comparable(read(item), caseSensitive!));
  }),
  filter('batch', [['linecount'], ['fill_with', null]], (value, count, fill) => new Lazy(batches(toList(value), indexOf(count!), fill!).values())),
  filter('slice', [['slices'], ['fill_with', null]], (value, count, fill) => new Lazy(slices(toList(value), indexOf(count!), fill!).values())),
];

/** `len(value)` @throws TemplateError for what has no length */
function lengthOf(value: Value): number {
  if (typeof value === 'string') return codePointCount(value);
  const length = itemsOf(value)?.length ?? dictOf(value)?.size ?? (value instanceof PyObject ? value.length() : null);
  if (length === null) throw new TemplateError(`it asks for the length of a ${typeName(value)}`);
  return length;
}

function first(value: Value): Value {
  const step = iterate(value).next();
  return step.done === true ? new Undefined('No first item, sequence was empty.') : step.value;
}

/** `reversed(value)` */
const toReversed = (value: Value): Value[] => toList(value).reverse();

/**
 * Reads an attribute of each item, or a path of them (`function.name`, `0.role`).
 * @param attribute None for the item itself
 * @param byDefault None for none
 */
export function reader(attribute: Value, byDefault: Value = null): (item: Value) => Value {
  if (attribute === null) return (item) => item;
  const parts: Value[] = typeof attribute === 'string' ? attribute.split('.').map((part) => (/^\d+$/.test(part) ? BigInt(part) : part)) : [attribute];
  return (item) => {
    let reached = item;
    for (const part of parts) {
      reached = itemOf(reached, part);
      if (byDefault !== null && reached instanceof Undefined) reached = byDefault;
    }
    return reached;
  };
}

function join(items: Value[], separator: string): string {
  const texts = items.map(str);
  checkLength(texts.reduce((length, text) => length + text.length + separator.length, 0));
  return texts.join(separator);
}

function pairs(value: Value): Value[] {
  if (value instanceof Undefined) return [];
  return dictPairs(value);
}

function dictPairs(value: Value): Value[] {
  const dict = dictOf(value);
  if (dict === null) throw new TemplateError(`it asks for the items of a ${typeName(value)}`);
  return [...dict].map((pair) => new Tuple(pair));
}

/** Strings without regard to case, unless asked for. */
const comparable = (value: Value, caseSensitive: Value): Value => (typeof value === 'string' && !isTrue(caseSensitive) ? value.toLowerCase() : value);

/** Equal items stay in their order, also in reverse. */
function sorted(items: readonly Value[], key: (item: Value) => Value, reverse: boolean): Value[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  return keyed.sort((a, b) => (reverse ? compare(b.key, a.key) : compare(a.key, b.key))).map(({ item }) => item);
}

function* unique(value: Value, key: (item: Value) => Value): Generator<Value> {
  const seen: Dict = new Map();
  for (const item of toList(value)) {
    if (keyIn(seen, key(item)) !== undefined) continue;
    dictSet(seen, key(item), true);
    yield item;
  }
}

/** @param sign 1 for the largest, -1 for the smallest; the first of equal ones */
function extreme(value: Value, sign: number, key: (item: Value) => Value): Value {
  const [start, ...rest] = toList(value);
  if (start === undefined) return new Undefined('No aggregated item, sequence was empty.');
  return rest.reduce((best, item) => (compare(key(item), key(best)) * sign > 0 ? item : best), start);
}

function groups(items: Value[], read: (item: Value) => Value, key: (item: Value) => Value): Value[] {
  const made: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(items, key, false)) {
    const last = made.at(-1);
    if (last !== undefined && equals(last.key, key(item))) last.items.push(item);
    else made.push({ key: key(item), items: [item] });
  }
  return made.map((group) => new GroupTuple(read(group.items[0]!), group.items));
}

function batches(items: Value[], count: number, fill: Value): Value[][] {
  const made: Value[][] = [];
  for (let start = 0; start < items.length; start += Math.max(1, count)) made.push(items.slice(start, start + Math.max(1, count)));
  checkItems(count);
  const last = made.at(-1);
  if (last !== undefined && fill !== null) while (last.length < count) last.push(fill);
  return made;
}

function slices(items: Value[], count: number, fill: Value): Value[][] {
  if (count <= 0) throw new TemplateError('it makes slices of nothing');
  checkItems(count);
  const size = Math.floor(items.length / count);
  const larger = items.length % count;
  let start = 0;
  return Array.from({ length: count }, (_, index) => {
    const part = items.slice(start, start + size + (index < larger ? 1 : 0));
    start += part.length;
    return fill !== null && index >= larger ? [...part, fill] : part;
  });
}
