import { describe, expect, it } from 'vitest';
import { labelWarnings } from '../../src/formats/objectives/kto.ts';

const weights = { beta: 0.1, loss_type: 'kto', desirable_weight: 1, undesirable_weight: 1 } as const;

describe('what is said of how many answers are good and bad', () => {
  it('is nothing for as many of each, or weights that make up for it', () => {
    expect(labelWarnings({ good: 5, bad: 5 }, weights)).toEqual([]);
    expect(labelWarnings({ good: 4, bad: 12 }, { ...weights, desirable_weight: 3.5 })).toEqual([]);
    expect(labelWarnings({ good: 4, bad: 12 }, { ...weights, desirable_weight: 0 })).toEqual([]);
  });

  it("is TRL's ranges of weights otherwise", () => {
    // round(12 / 4, 2) and its 1.33-fold; round(4 / 12 / 1.33, 2) and round(4 / 12, 2)
    expect(labelWarnings({ good: 4, bad: 12 }, weights)).toEqual([
      expect.stringMatching(/desirable_weight of 3\.00 to 3\.99, .* of 0\.25 to 0\.33\./),
    ]);
  });

  it('names a file in which all are of one kind', () => {
    expect(labelWarnings({ good: 4, bad: 0 }, weights)).toEqual([expect.stringMatching(/All answers of the training file are labelled true/)]);
    expect(labelWarnings({ good: 0, bad: 4 }, weights)).toEqual([expect.stringMatching(/labelled false/)]);
  });
});
