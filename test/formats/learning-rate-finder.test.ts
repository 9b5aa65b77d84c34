import { describe, expect, it } from 'vitest';
import { FINDER_STEPS, finderRate, RateSearch, valley } from '../../src/formats/learning-rate-finder.ts';

describe("the rule of fastai's valley", () => {
  /** Places that fastai's own function gives. */
  it.each([
    ['a loss that always falls', Array.from({ length: 60 }, (_, index) => 3 - 0.01 * index), 29],
    [
      'a wavy loss that falls and then diverges',
      Array.from({ length: 70 }, (_, index) =>
        index < 55 ? 3 + 0.3 * Math.sin(index / 3) - Math.max(0, index - 20) * 0.05 : 1.3 + (index - 55) * 0.5,
      ),
      39,
    ],
    ['a loss that falls late', [...Array(40).fill(2.5), ...Array.from({ length: 12 }, (_, index) => 2.4 - 0.1 * index), 2, 3, 4, 5], 44],
    ['a loss that never falls', Array.from({ length: 40 }, (_, index) => 1 + 0.1 * index), 0],
  ])('of %s › gives the same place', (_name, losses, place) => {
    expect(valley(losses)).toBe(place);
  });
});

describe('a search for a learning rate', () => {
  it('grows the rate from 1e-7 by the same factor each step, smooths the losses, and ends when they diverge', () => {
    expect(finderRate(0)).toBe(1e-7);
    expect(finderRate(FINDER_STEPS)).toBeCloseTo(1);
    const search = new RateSearch();
    for (let step = 0; step < 40; step++) expect(search.add(2)).toBe(false);
    let steps = 40;
    while (!search.add(100)) steps += 1;
    const { steps: taken, suggested, ended_because } = search.result('diverged');
    expect(taken.length).toBe(steps + 1);
    // From 2 by the debiased mean with 0.98: m ← 0.98·m + 0.02·100, divided by 1 − 0.98ⁿ.
    let mean = 2 * (1 - 0.98 ** 40);
    for (let step = 40; step <= steps; step++) mean = 0.98 * mean + 2;
    expect(taken.at(-1)!.smoothed_loss).toBeCloseTo(mean / (1 - 0.98 ** (steps + 1)), 9);
    expect(taken.at(-1)!.smoothed_loss).toBeGreaterThan(8);
    expect(taken.at(-2)!.smoothed_loss).toBeLessThanOrEqual(8);
    expect(ended_because).toBe('diverged');
    expect(suggested).toBeGreaterThan(0);
    expect(new RateSearch().result('diverged').suggested).toBeNull();
  });
});
