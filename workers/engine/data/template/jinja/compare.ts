/** Python's comparisons: `==`, `<`, `in`. */
import { TemplateError } from './error.ts';
import { type Dict, dictOf, GivenAsText, itemsOf, iterate, listOf, PyObject, Tuple, textOf, typeName, Undefined, type Value } from './values.ts';

const isNumber = (value: Value): value is bigint | number | boolean =>
  typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean';

/** A bool is an int. */
const numeric = (value: bigint | number | boolean): bigint | number => (typeof value === 'boolean' ? BigInt(value) : value);

/** `a == b`: lists and dicts by content, numbers by value, and values of different kinds are different. */
export function equals(a: Value, b: Value): boolean {
  if (typeof a === 'string' && typeof b === 'string') return a === b;
  // biome-ignore lint/suspicious/noDoubleEquals: an int equals a float of the same value, exactly
  if (isNumber(a) && isNumber(b)) return numeric(a) == numeric(b);
  if (a instanceof GivenAsText || b instanceof GivenAsText) return equalsGivenAsText(a, b);
  if (a instanceof Tuple || b instanceof Tuple) return a instanceof Tuple && b instanceof Tuple && equalItems(a.items, b.items);
  const [list, other] = [listOf(a), listOf(b)];
  if (list !== null || other !== null) return list !== null && other !== null && equalItems(list, other);
  if (a instanceof Map && b instanceof Map) return equalDicts(a, b);
  if (a instanceof PyObject) return a.equals(b);
  if (b instanceof PyObject) return b.equals(a);
  return a === b;
}

/** @returns the key under which the dict holds it; undefined if it holds none @throws TemplateError for keys that Python cannot hash */
export function keyIn(dict: Dict, key: Value): Value | undefined {
  if (typeof key === 'string') return dict.has(key) ? key : undefined;
  if (listOf(key) !== null || dictOf(key) !== null) throw new TemplateError(`it uses a ${typeName(key)} as the key of a dict`);
  if (dict.has(key)) return key;
  for (const each of dict.keys()) if (typeof each !== 'string' && equals(each, key)) return each;
  return undefined;
}

function equalsGivenAsText(a: Value, b: Value): boolean {
  if (typeof a === 'string' || typeof b === 'string') return textOf(a) === textOf(b);
  return equals(a instanceof GivenAsText ? a.value : a, b instanceof GivenAsText ? b.value : b);
}

const equalItems = (a: readonly Value[], b: readonly Value[]): boolean => a.length === b.length && a.every((item, index) => equals(item, b[index]!));

function equalDicts(a: Dict, b: Dict): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) {
    const other = keyIn(b, key);
    if (other === undefined || !equals(value, b.get(other)!)) return false;
  }
  return true;
}

/**
 * @returns negative, 0 or positive as a is less than, equal to or greater than b; NaN if neither, which only floats are
 * @throws TemplateError for kinds that Python does not order
 */
export function compare(a: Value, b: Value): number {
  if (isNumber(a) && isNumber(b)) {
    const [left, right] = [numeric(a), numeric(b)];
    // biome-ignore lint/suspicious/noDoubleEquals: as in equals
    return left < right ? -1 : left > right ? 1 : left == right ? 0 : Number.NaN;
  }
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  for (const each of [a, b]) if (each instanceof Undefined) each.fail();
  const [left, right] = [itemsOf(a), itemsOf(b)];
  if (left !== null && right !== null && a instanceof Tuple === b instanceof Tuple) {
    for (let index = 0; index < Math.min(left.length, right.length); index++) {
      if (!equals(left[index]!, right[index]!)) return compare(left[index]!, right[index]!);
    }
    return left.length - right.length;
  }
  throw new TemplateError(`it orders a ${typeName(a)} and a ${typeName(b)}`);
}

/** By code points, where JavaScript's < goes by UTF-16 units. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  let index = 0;
  while (index < a.length && index < b.length && a[index] === b[index]) index += 1;
  if (index === a.length || index === b.length) return a.length - b.length;
  // In the middle of a pair, the pair decides.
  if (index > 0 && /[\ud800-\udbff]/.test(a[index - 1]!) && /[\udc00-\udfff]/.test(a[index]! + b[index]!)) index -= 1;
  return a.codePointAt(index)! - b.codePointAt(index)!;
}

/** `item in container` @throws TemplateError if it is no container */
export function contains(container: Value, item: Value): boolean {
  const text = typeof container === 'string' || typeof item === 'string' ? textOf(container) : null;
  const dict = dictOf(container);
  if (text !== null && dict === null) {
    const part = textOf(item);
    if (part !== null) return text.includes(part);
    if (item instanceof Undefined) item.fail();
    throw new TemplateError(`it looks for a ${typeName(item)} in a string`);
  }
  if (dict !== null) return keyIn(dict, item) !== undefined;
  const iterator = iterate(container);
  for (let step = iterator.next(); step.done !== true; step = iterator.next()) if (equals(step.value, item)) return true;
  return false;
}
