import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTrainerState } from '../../../../workers/engine/io/checkpoint.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-checkpoint-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const write = (state: object) => writeFileSync(join(dir, 'trainer_state.json'), JSON.stringify(state));

describe('readTrainerState', () => {
  it('from format 1, with a field for each metric › reads the metrics by name', () => {
    const former = { step: 4, totalSteps: 9, epoch: 0.5, trainLoss: 2, trainMeanTokenAccuracy: 0.25, gradNorm: 3, fullValidLoss: 2.5 };
    write({ format: 1, step: 4, seed: 7, last: former });
    const metrics = { epoch: 0.5, train_loss: 2, train_mean_token_accuracy: 0.25, grad_norm: 3, full_valid_loss: 2.5 };
    expect(readTrainerState(dir)).toEqual({ format: 2, step: 4, seed: 7, last: { step: 4, totalSteps: 9, metrics } });
  });

  it('from a later version › refuses the checkpoint and names both formats', () => {
    write({ format: 3, step: 4 });
    expect(() => readTrainerState(dir)).toThrow(/has the format 3; this version reads 2/);
  });
});
