/** From characters to tokens: which tokens of a text hold the characters that are learned. */
import type { Encoded } from './tokenizer.ts';

/** Characters [start, end) of a text. */
export type Span = [start: number, end: number];

/**
 * transformers' `return_assistant_tokens_mask`: from the token that holds a span's first character to the one that holds its last. Where a character
 * is spread over several tokens (the bytes of an emoji), all of them count; transformers stops at the first. Each token is looked at twice.
 * @param spans in code points, ascending and disjoint
 * @returns for each span its tokens [from, to); null where no token holds any of its characters
 */
export function tokensOfSpans({ offsets }: Pick<Encoded, 'offsets'>, spans: readonly Span[]): (Span | null)[] {
  let next = 0;
  return spans.map(([start, end]) => {
    while (next < offsets.length && offsets[next]![1] <= start) next += 1;
    let found: Span | null = null;
    for (let at = next; at < offsets.length && offsets[at]![0] < end; at++) {
      const [from, to] = offsets[at]!;
      if (from < to && to > start) found = [found === null ? at : found[0], at + 1];
    }
    return found;
  });
}

/**
 * Converts places in a string from UTF-16 units, in which JavaScript counts, to code points, in which tokenizers do. One pass over the text.
 * @param places ascending
 */
export function inCodePoints(text: string, places: readonly number[]): number[] {
  let at = 0;
  let pairs = 0;
  return places.map((place) => {
    for (; at < place; at++) {
      const unit = text.charCodeAt(at);
      if (unit >= 0xd800 && unit <= 0xdbff && at + 1 < place) {
        pairs += 1;
        at += 1;
      }
    }
    return place - pairs;
  });
}

/** @returns what cuts the text by places in code points */
export function codePointSlicer(text: string): (start: number, end: number) => string {
  if (!/[\ud800-\udbff]/.test(text)) return (start, end) => text.slice(start, end);
  const units: number[] = [];
  let at = 0;
  for (const character of text) {
    units.push(at);
    at += character.length;
  }
  units.push(at);
  return (start, end) => text.slice(units[start], units[end]);
}
