import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PASS_TOKENS } from '../../../../src/formats/pass-size.ts';
import type { Batch, Example } from '../../../../workers/engine/data/batch.ts';
import { layOut, microBatches, stepExamples } from '../../../../workers/engine/data/batches.ts';
import { inMemory } from '../../../../workers/engine/data/example-store.ts';
import { epochOrder, splitMix32 } from '../../../../workers/engine/data/shuffle.ts';

const example = (length: number, first = 1): Example => ({
  inputIds: Int32Array.from({ length }, (_, index) => first + index),
  lossWeights: Float32Array.from({ length }, (_, index) => (index === 0 ? 0 : 1)),
});

/** Python's orders. */
const orders = JSON.parse(readFileSync(new URL('../../../fixtures/reference/shuffle.json', import.meta.url), 'utf8')) as {
  examples: number;
  seed: number;
  epoch: number;
  order: number[];
}[];

describe('epochOrder', () => {
  it.each(orders)('of $examples examples in epoch $epoch with seed $seed is the one of earlier versions', ({ examples, seed, epoch, order }) => {
    expect([...epochOrder(examples, { seed, epoch })]).toEqual(order);
  });

  it('is a permutation, the same for the same seed and epoch, different for others', () => {
    const order = epochOrder(1000, { seed: 1, epoch: 0 });
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    expect(epochOrder(1000, { seed: 1, epoch: 0 })).toEqual(order);
    expect(epochOrder(1000, { seed: 1, epoch: 1 })).not.toEqual(order);
    expect(epochOrder(1000, { seed: 2, epoch: 0 })).not.toEqual(order);
  });

  it('puts every example first equally often over many seeds', () => {
    const firsts = new Array<number>(5).fill(0);
    for (let seed = 0; seed < 5000; seed++) firsts[epochOrder(5, { seed, epoch: 0 })[0]!]! += 1;
    // 1000 ± 28 (binomial); five standard deviations.
    for (const count of firsts) expect(Math.abs(count - 1000)).toBeLessThan(142);
  });
});

describe('stepExamples', () => {
  it('visits every example once per epoch, the last step taking what is left', () => {
    const examples = Array.from({ length: 10 }, (_, index) => example(2, index * 10));
    const sizes: number[] = [];
    const examplesOf = stepExamples(inMemory(examples), { batchSize: 4, seed: 3 });
    const seen = [0, 1, 2].flatMap((step) => {
      const chosen = examplesOf(3 + step);
      sizes.push(chosen.length);
      return chosen.map(({ inputIds }) => inputIds[0]!);
    });
    expect(sizes).toEqual([4, 4, 2]);
    expect(seen.sort((a, b) => a - b)).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
  });

  it('asked for steps in any order gives each epoch its own order', () => {
    const { order: first } = orders.find(({ examples, seed, epoch }) => examples === 12 && seed === 7 && epoch === 0)!;
    const { order: second } = orders.find(({ examples, seed, epoch }) => examples === 12 && seed === 7 && epoch === 1)!;
    const examplesOf = stepExamples(inMemory(Array.from({ length: 12 }, (_, index) => example(1, index))), { batchSize: 5, seed: 7 });
    const ids = (step: number) => examplesOf(step).map(({ inputIds }) => inputIds[0]);
    expect([4, 1, 3, 2].map(ids)).toEqual([second.slice(5, 10), first.slice(5, 10), second.slice(0, 5), first.slice(10)]);
  });
});

describe('microBatches', () => {
  const lengths = (batches: Iterable<Batch>) => [...batches].map(({ rows, length }) => [rows, length]);
  const examples = inMemory([3, 40, 9, 16, 8, 100].map((length) => example(length, length)));

  it('keeps every pass within the budget and gives a longer example its own pass', () => {
    expect(lengths(microBatches(examples, { tokenBudget: 64 }))).toEqual([
      [1, 104],
      [1, 40],
      [3, 16],
    ]);
  });

  it('lays out every example once and whole, with its own positions and a segment of its row', () => {
    const found: number[][] = [];
    for (const { rows, length, inputIds, lossWeights, positions, segments } of microBatches(examples, { tokenBudget: 128 })) {
      for (let row = 0; row < rows; row++) {
        const real = Array.from({ length }, (_, column) => row * length + column).filter((at) => segments![at] !== -1);
        for (const segment of new Set(real.map((at) => segments![at]!))) {
          const places = real.filter((at) => segments![at] === segment);
          expect(places.map((at) => positions![at])).toEqual(places.map((_, index) => index));
          expect(places.map((at) => lossWeights[at])).toEqual(places.map((_, index) => Number(index > 0)));
          found.push(places.map((at) => inputIds[at]!));
        }
      }
    }
    expect(found.sort((a, b) => a.length - b.length)).toEqual([3, 8, 9, 16, 40, 100].map((length) => [...example(length, length).inputIds]));
  });

  it('wastes little on the lengths of typical chats', () => {
    const random = splitMix32(1);
    const chats = Array.from({ length: 200 }, () => example(24 + Math.floor(400 * random() ** 3)));
    const batches = [...microBatches(inMemory(chats))];
    const padded = batches.reduce((sum, { rows, length }) => sum + rows * length, 0);
    const real = chats.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
    expect(real / padded).toBeGreaterThan(0.9);
    expect(Math.max(...batches.map(({ rows, length }) => rows * length))).toBeLessThanOrEqual(PASS_TOKENS);
  });

  it('lets no examples share a row that is longer than the limit', () => {
    const alike = inMemory(Array.from({ length: 4 }, () => example(20)));
    expect(lengths(microBatches(alike, { tokenBudget: 96 }))).toEqual([[2, 40]]);
    expect(lengths(microBatches(alike, { tokenBudget: 96, sharedRowLimit: 39 }))).toEqual([[4, 24]]);
  });
});

describe('layOut', () => {
  it('pads on the right to a multiple of eight', () => {
    const { rows, length, inputIds, lossWeights, segments } = layOut([[example(2)], [example(9, 5)]]);
    expect([rows, length]).toEqual([2, 16]);
    expect([...inputIds.subarray(0, 4)]).toEqual([1, 2, 0, 0]);
    expect([...segments!.subarray(16)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1]);
    expect([...lossWeights.subarray(0, 4)]).toEqual([0, 1, 0, 0]);
  });
});
