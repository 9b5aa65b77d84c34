/** Python's subscripts: `value[index]` and `value[start:stop:step]`. */
import { TemplateError } from './error.ts';
import { codePoints } from './strings.ts';
import { indexOf, listOf, PyObject, Tuple, textOf, typeName, Undefined, type Value } from './values.ts';

/** @returns where `[start:end]` begins and ends in a sequence of so many items, both from 0 to length */
export function sliceBounds(length: number, start: Value, end: Value): { from: number; to: number } {
  const bound = (value: Value, byDefault: number): number => {
    if (value === null) return byDefault;
    const index = indexOf(value);
    return Math.min(length, Math.max(0, index < 0 ? index + length : index));
  };
  return { from: bound(start, 0), to: bound(end, length) };
}

/** `items[start:stop:step]` */
export function sliced<T>(items: readonly T[], start: Value, stop: Value, step: Value): T[] {
  const stride = step === null ? 1 : indexOf(step);
  if (stride === 0) throw new TemplateError('it slices with a step of zero');
  if (stride > 0) {
    const { from, to } = sliceBounds(items.length, start, stop);
    if (stride === 1) return items.slice(from, to);
    return items.slice(from, to).filter((_, index) => index % stride === 0);
  }
  // Backwards: from the last item, or from `start`, to the first, or to before `stop`.
  const { length } = items;
  const bound = (value: Value, byDefault: number): number => {
    if (value === null) return byDefault;
    const index = indexOf(value);
    return Math.min(length - 1, Math.max(-1, index < 0 ? index + length : index));
  };
  const taken: T[] = [];
  for (let index = bound(start, length - 1); index > bound(stop, -1); index += stride) taken.push(items[index]!);
  return taken;
}

/** @throws TemplateError for what cannot be sliced */
export function slice(value: Value, start: Value, stop: Value, step: Value): Value {
  const own = value instanceof PyObject ? value.slice(start, stop, step) : undefined;
  if (own !== undefined) return own;
  const list = listOf(value);
  if (list !== null) return sliced(list, start, stop, step);
  if (value instanceof Tuple) return new Tuple(sliced(value.items, start, stop, step));
  const text = textOf(value);
  if (text !== null) {
    const points = codePoints(text);
    if (typeof points !== 'string') return sliced(points, start, stop, step).join('');
    if (step === null) {
      const { from, to } = sliceBounds(points.length, start, stop);
      return points.slice(from, to);
    }
    return sliced([...points], start, stop, step).join('');
  }
  if (value instanceof Undefined) value.fail();
  throw new TemplateError(`it slices a ${typeName(value)}`);
}

/** @returns the item at an index, from the end if it is negative; undefined past the ends */
export function at<T>(items: readonly T[], index: number): T | undefined {
  return items[index < 0 ? index + items.length : index];
}
