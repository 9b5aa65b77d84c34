import { describe, expect, it } from 'vitest';
import { splitMix32 } from '../../../../workers/engine/data/shuffle.ts';
import { codePointSlicer, inCodePoints, type Span, tokensOfSpans } from '../../../../workers/engine/data/span-mask.ts';

/** Every token compared with every span. */
function slowly(offsets: [number, number][], spans: Span[]): (Span | null)[] {
  return spans.map(([start, end]) => {
    const touches = ([from, to]: [number, number]) => from < end && to > start && from < to;
    const first = offsets.findIndex(touches);
    return first === -1 ? null : [first, offsets.findLastIndex(touches) + 1];
  });
}

describe('tokensOfSpans', () => {
  it('finds on random texts what a search of all tokens for each span finds', () => {
    const random = splitMix32(5);
    const draw = (below: number) => Math.floor(random() * below);
    for (let round = 0; round < 500; round++) {
      // Tokens with gaps, without characters, and several for one character.
      const offsets: [number, number][] = [];
      for (let at = 0; offsets.length < 20; ) {
        const end = at + draw(3);
        for (let copies = end > at && draw(6) === 0 ? 3 : 1; copies > 0; copies--) offsets.push([at, end]);
        at = end + (draw(5) === 0 ? 1 : 0);
      }
      const places = Array.from({ length: 6 }, () => draw(40)).sort((a, b) => a - b);
      const spans: Span[] = [0, 2, 4].map((index) => [places[index]!, places[index + 1]!]);
      expect(tokensOfSpans({ offsets }, spans)).toEqual(slowly(offsets, spans));
    }
  });

  it('counts a token that holds the end of one span and the beginning of the next in both', () => {
    expect(
      tokensOfSpans(
        {
          offsets: [
            [0, 2],
            [2, 6],
            [6, 8],
          ],
        },
        [
          [0, 4],
          [4, 8],
        ],
      ),
    ).toEqual([
      [0, 2],
      [1, 3],
    ]);
  });
});

describe('code points', () => {
  const text = 'a🙂b👩‍👩‍👧c';

  it('are counted as Python counts them, and cut so', () => {
    const places = [0, 1, 3, 4, text.length - 1, text.length];
    const counted = inCodePoints(text, places);
    expect(counted).toEqual(places.map((place) => [...text.slice(0, place)].length));
    const slice = codePointSlicer(text);
    expect(places.slice(1).map((_, index) => slice(counted[index]!, counted[index + 1]!))).toEqual(
      places.slice(1).map((place, index) => text.slice(places[index], place)),
    );
  });
});
