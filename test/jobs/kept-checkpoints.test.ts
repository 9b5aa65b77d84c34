import { describe, expect, it } from 'vitest';
import { surplusCheckpoints } from '../../src/jobs/kept-checkpoints.ts';

/** A job of 8 epochs with 6 steps each. */
const job = (save_total_limit?: number | 'auto') => ({
  hyperparameters: save_total_limit === undefined ? {} : { save_total_limit },
  resolved: { n_epochs: 8 } as never,
  totalSteps: 48,
  evaluations: null,
  facts: null,
});

interface Given {
  losses?: Record<number, number>;
  damaged?: number[];
}

/** @returns the steps that are kept */
function kept(steps: number[], limit?: number | 'auto', { losses = {}, damaged = [] }: Given = {}): number[] {
  const checkpoints = steps.map((step) => ({
    step,
    metrics: { step, ...(losses[step] !== undefined && { full_valid_loss: losses[step] }) },
    problem: damaged.includes(step) ? 'a file is missing' : null,
  }));
  const gone = surplusCheckpoints(checkpoints, job(limit)).map(({ step }) => step);
  return steps.filter((step) => !gone.includes(step));
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

describe('the checkpoints of a job that are kept', () => {
  it('are ten unless it asks for another number: the newest two, then those of epochs’ ends, then the newest of the rest', () => {
    for (const limit of [undefined, 'auto'] as const) expect(kept(upTo(40), limit)).toEqual([6, 12, 18, 24, 30, 36, 37, 38, 39, 40]);
    expect(kept(upTo(10))).toEqual(upTo(10));
    expect(kept(upTo(40), 4)).toEqual([30, 36, 39, 40]);
  });

  it('include the best on the validation file, however old it is', () => {
    expect(kept(upTo(40), 3, { losses: { 6: 0.5, 12: 0.7, 36: 0.9 } })).toEqual([6, 39, 40]);
    expect(kept(upTo(40), 2, { losses: { 6: 0.5, 12: 0.7 } })).toEqual([6, 40]);
  });

  it('are good ones if possible: a damaged one goes first', () => {
    expect(kept(upTo(12), 2, { damaged: [12] })).toEqual([10, 11]);
    expect(kept([1, 2, 3], 3, { damaged: [3] })).toEqual([1, 2, 3]);
  });
});
