/**
 * What `{% generation %}` marked, in code points. transformers takes the length of what was printed so far for a block's beginning, which is wrong inside
 * a macro, a set block or a filter block: what they print comes later. Such marks would teach other text than the template means.
 * @param text   the rendering
 * @param marked each block's text, and where it begins, in UTF-16 units
 * @returns [start, end) of each
 * @throws Error where a block's text is not where it is said to be
 */
export function markedSpans(text: string, marked: readonly { start: number; text: string }[]): [number, number][] {
  for (const { start, text: block } of marked) {
    if (!text.startsWith(block, start))
      throw new Error(
        'it has a generation block inside another one, a macro, a set block or a filter block, where the text it marks cannot be found; mark the text where it is printed',
      );
  }
  const inCodePoints = positions(text);
  return marked.map(({ start, text: block }) => [inCodePoints(start), inCodePoints(start + block.length)]);
}

/** @returns converts positions that do not decrease from UTF-16 units to code points, in one pass */
function positions(text: string): (unit: number) => number {
  if (!/[\ud800-\udfff]/.test(text)) return (unit) => unit;
  let [units, points] = [0, 0];
  return (unit) => {
    if (unit < units) [units, points] = [0, 0];
    while (units < unit) {
      units += text.codePointAt(units)! > 0xffff ? 2 : 1;
      points += 1;
    }
    return points;
  };
}
