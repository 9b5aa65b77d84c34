/**
 * @param some, others values compared with ===; of strings, UTF-16 units
 * @returns the number of leading values that both have in common
 */
export function commonPrefixLength<T>(some: ArrayLike<T>, others: ArrayLike<T>): number {
  const length = Math.min(some.length, others.length);
  for (let index = 0; index < length; index++) if (some[index] !== others[index]) return index;
  return length;
}
