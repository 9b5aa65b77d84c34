/** Python's dicts, in which 1, 1.0 and True are one key, and tuples are equal by content. */
import { keyIn } from './compare.ts';
import type { Dict, Value } from './values.ts';

export function dictGet(dict: Dict, key: Value): Value | undefined {
  if (typeof key === 'string') return dict.get(key);
  const known = keyIn(dict, key);
  return known === undefined ? undefined : dict.get(known);
}

/** Of equal keys, the first stays. */
export function dictSet(dict: Dict, key: Value, value: Value): void {
  dict.set(keyIn(dict, key) ?? key, value);
}
