import { describe, expect, it } from 'vitest';
import { contentOf, type Fill, filledFrom, slabsOf } from '../../../../workers/engine/compiled/slab.ts';

/** Elements at once, so that tensors of a few rows are larger. */
const MOST = 64;

const SIZES = { small: [3, 5], large: [5, 33], medium: [2, 20] };
const numbers = (name: keyof typeof SIZES): Float32Array => {
  const [rows, columns] = SIZES[name] as [number, number];
  return Float32Array.from({ length: rows * columns }, (_, index) => index + 1 + rows * 1000);
};
const [slab] = slabsOf(Object.entries(SIZES), 'blocks') as [ReturnType<typeof slabsOf>[number]];

describe('contentOf', () => {
  it('of tensors smaller and larger than a piece, gives the rows in their order, with zeros after each tensor', () => {
    const content: number[] = [];
    for (const { firstRow, values } of contentOf(
      slab,
      filledFrom((name) => numbers(name as keyof typeof SIZES)),
      Float32Array,
      MOST,
    )) {
      expect(firstRow * 32).toBe(content.length);
      expect(values.length).toBeLessThanOrEqual(MOST);
      content.push(...values);
    }
    const padded = (values: Float32Array) => [...values, ...new Array(Math.ceil(values.length / 32) * 32 - values.length).fill(0)];
    expect(content).toEqual((Object.keys(SIZES) as (keyof typeof SIZES)[]).flatMap((name) => padded(numbers(name))));
  });

  it('asks for each tensor from its beginning, in pieces that begin at multiples of their size', () => {
    const asked: [string, number, number][] = [];
    const fill: Fill = (name, { held, first }) => asked.push([name, first, held.length]);
    for (const _ of contentOf(slab, fill, Float32Array, MOST));
    expect(asked).toEqual([
      ['small', 0, 15],
      ['large', 0, 64],
      ['large', 64, 64],
      ['large', 128, 37],
      ['medium', 0, 40],
    ]);
  });
});

describe('filledFrom', () => {
  it('reads a tensor of several pieces once', () => {
    const read: string[] = [];
    const fill = filledFrom((name) => {
      read.push(name);
      return numbers(name as keyof typeof SIZES);
    });
    for (const _ of contentOf(slab, fill, Float32Array, MOST));
    expect(read).toEqual(['small', 'large', 'medium']);
  });
});
