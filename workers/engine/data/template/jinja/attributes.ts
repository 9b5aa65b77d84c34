/** `value.name` and `value[key]` as Jinja's sandbox reads them: an attribute first or an item first, and undefined if there is neither. */
import { braceFormat } from './brace-format.ts';
import { equals } from './compare.ts';
import { dictGet, dictSet } from './dict.ts';
import { TemplateError } from './error.ts';
import { unsafe, View } from './objects.ts';
import { bind, callable, type Parameter } from './signature.ts';
import { at, sliceBounds } from './slicing.ts';
import { stringMethod } from './string-methods.ts';
import { codePoints } from './strings.ts';
import { repr } from './text.ts';
import {
  Callable,
  type Dict,
  dictOf,
  indexOf,
  itemsOf,
  type Keywords,
  Markup,
  PyObject,
  textOf,
  toList,
  typeName,
  Undefined,
  type Value,
  WatchedList,
} from './values.ts';

/** Methods that would change a value, which the sandbox does not allow. */
const CHANGE_LISTS = ['append', 'clear', 'pop', 'reverse', 'insert', 'sort', 'extend', 'remove'];
const CHANGE_DICTS = ['clear', 'pop', 'popitem', 'setdefault', 'update'];
/** Attributes that Python's numbers have and templates here do not. */
const OF_NUMBERS = /^(real|imag|numerator|denominator|conjugate|bit_length|bit_count|to_bytes|from_bytes|as_integer_ratio|is_integer|hex|fromhex)$/;
const RANGE: readonly Parameter[] = [
  ['start', 0n],
  ['stop', null],
];

/** `value.name` @throws TemplateError if the value is undefined */
export function attributeOf(value: Value, name: string): Value {
  if (value instanceof Undefined) return value.fail();
  let found = ownAttribute(value, name);
  if (found === undefined) found = ownItem(value, name);
  return found === undefined ? missing(value, name) : found;
}

/** `value[key]` @throws TemplateError if the value is undefined */
export function itemOf(value: Value, key: Value): Value {
  if (value instanceof Undefined) return value.fail();
  let found = ownItem(value, key);
  if (found === undefined && typeof key === 'string') found = ownAttribute(value, key);
  return found === undefined ? missing(value, key) : found;
}

function missing(value: Value, key: Value): Undefined {
  const kind = value === null ? 'None' : `${typeName(value)} object`;
  return new Undefined(typeof key === 'string' ? `'${kind}' has no attribute '${key}'` : `${kind} has no element ${repr(key)}`);
}

/** `getattr` */
function ownAttribute(value: Value, name: string): Value | undefined {
  if (/^__\w+__$/.test(name)) return unsafe(typeName(value), name);
  if (typeof value === 'string') return textAttribute(value, name);
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') {
    if (OF_NUMBERS.test(name)) throw new TemplateError(`it uses the attribute ${name} of a number, which is not supported here`);
    return undefined;
  }
  if (value === null) return undefined;
  const dict = dictOf(value);
  if (dict !== null)
    return dictMethod(dict, name) ?? (value instanceof PyObject && !dict.has(name) ? textAttribute(textOf(value)!, name) : undefined);
  if (value instanceof Markup) throw new TemplateError(`it uses the method ${name} of an escaped text, which is not supported here`);
  const isList = Array.isArray(value) || typeName(value) === 'list';
  if (isList && CHANGE_LISTS.includes(name)) return unsafe('list', name);
  if ((isList && name === 'copy') || ((isList || typeName(value) === 'tuple') && ['count', 'index'].includes(name))) return listMethod(value, name);
  const text = isList && value instanceof PyObject && !(value instanceof WatchedList) ? textOf(value) : null;
  if (text !== null) return textAttribute(text, name);
  return value instanceof PyObject ? value.attribute(name) : undefined;
}

const lookup = { attribute: attributeOf, item: itemOf };

function textAttribute(text: string, name: string): Value | undefined {
  if (name === 'format') return new Callable(name, (args, keywords) => braceFormat(text, args, keywords, lookup));
  if (name !== 'format_map') return stringMethod(text, name);
  return callable(name, [['mapping']], (mapping) => braceFormat(text, [], namesOf(mapping!), lookup));
}

function namesOf(mapping: Value): Keywords {
  const dict = dictOf(mapping);
  if (dict === null) throw new TemplateError(`it calls format_map with a ${typeName(mapping)}`);
  return dict as Map<string, Value>;
}

function dictMethod(dict: Dict, name: string): Value | undefined {
  switch (name) {
    case 'items':
    case 'keys':
    case 'values':
      return callable(name, [], () => new View(dict, name));
    case 'get':
      return new Callable(name, (args, keywords) => {
        if (keywords.size > 0) throw new TemplateError('dict.get() takes no keyword arguments');
        const [key, byDefault] = bind(name, [['key'], ['default', null]], args, keywords);
        const found = dictGet(dict, key!);
        return found === undefined ? byDefault! : found;
      });
    case 'copy':
      return callable(name, [], () => new Map(dict));
    case 'fromkeys':
      return callable(name, [['keys'], ['value', null]], (keys, value) => fromKeys(keys!, value!));
    default:
      return CHANGE_DICTS.includes(name) ? unsafe('dict', name) : undefined;
  }
}

/** `dict.fromkeys(keys, value)` */
export function fromKeys(keys: Value, value: Value): Dict {
  const dict: Dict = new Map();
  for (const key of toList(keys)) dictSet(dict, key, value);
  return dict;
}

function listMethod(value: Value, name: string): Callable {
  if (name === 'copy') return callable(name, [], () => [...itemsOf(value)!]);
  if (name === 'count') return callable(name, [['value']], (item) => BigInt(itemsOf(value)!.filter((each) => equals(each, item!)).length));
  return callable(name, [['value'], ...RANGE], (item, start, stop) => {
    const items = itemsOf(value)!;
    const { from, to } = sliceBounds(items.length, start!, stop!);
    const found = items.slice(from, to).findIndex((each) => equals(each, item!));
    if (found === -1) throw new TemplateError('it looks for the index of an item that is not in the list');
    return BigInt(from + found);
  });
}

/** `value[key]` of Python; undefined where it raises KeyError, IndexError or TypeError. */
function ownItem(value: Value, key: Value): Value | undefined {
  if (value instanceof Map) return lookUp(value, key);
  if (value instanceof WatchedList)
    return typeof key === 'bigint' && key >= 0n ? value.at(Number(key)) : isIndex(key) ? at(value.all(), indexOf(key)) : undefined;
  const items = itemsOf(value);
  if (items !== null) return isIndex(key) ? at(items, indexOf(key)) : undefined;
  if (typeof value === 'string') return isIndex(key) ? characterAt(value, indexOf(key)) : undefined;
  const dict = dictOf(value);
  if (dict !== null) return lookUp(dict, key);
  return value instanceof PyObject ? value.item(key) : undefined;
}

function characterAt(text: string, index: number): string | undefined {
  const points = codePoints(text);
  return typeof points === 'string' ? points.at(index) : at(points, index);
}

const isIndex = (key: Value): boolean => typeof key === 'bigint' || typeof key === 'boolean';

/** A list or dict as the key raises TypeError, like a missing key KeyError. */
const lookUp = (dict: Dict, key: Value): Value | undefined =>
  itemsOf(key) !== null && !(typeName(key) === 'tuple') ? undefined : dictOf(key) !== null ? undefined : dictGet(dict, key);
