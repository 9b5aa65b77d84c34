import type { Span } from './span-mask.ts';
import type { Encoded, Tokenizer } from './tokenizer.ts';

/**
 * What a turn's last token is, white space aside: templates write a line break after the end of a turn, which is never generated, because generation
 * has stopped.
 * @param slice  cuts the text by code points
 * @param tokens [from, to) of the turn
 * @returns the token after that last one, and whether it is one that can end a turn: an added token, or one at which generation stops
 */
export function endOfTurn(
  { ids, offsets }: Encoded,
  [from, to]: Span,
  { slice, tokenizer }: { slice(start: number, end: number): string; tokenizer: Tokenizer },
): { end: number; isMarked: boolean } {
  let end = to;
  while (end > from && slice(...offsets[end - 1]!).trim() === '') end -= 1;
  const last = ids[end - 1];
  return { end, isMarked: end > from && last !== undefined && (tokenizer.isAddedToken(last) || tokenizer.stopTokenIds.has(last)) };
}
