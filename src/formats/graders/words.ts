/** Where Python's `str.split()` splits; JavaScript's `\s` differs in a few characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python counts the separators 1c to 1f as space
const PYTHON_SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/** As `str.split()`. */
export const wordsOf = (text: string): string[] => text.split(PYTHON_SPACE).filter((word) => word !== '');

/** How often each run of n words occurs. Words have no spaces, so a space joins them. */
export function countNGrams(words: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let start = 0; start + n <= words.length; start++) {
    const gram = words.slice(start, start + n).join(' ');
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

/** How many n-grams both have, each counted as often as in the one that has fewer of it. */
export function overlap(a: Map<string, number>, b: Map<string, number>): number {
  let common = 0;
  for (const [gram, count] of a) common += Math.min(count, b.get(gram) ?? 0);
  return common;
}
