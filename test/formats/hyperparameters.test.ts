import { describe, expect, it } from 'vitest';
import {
  checkHyperparameters,
  type Hyperparameters,
  hyperparameterWarnings,
  resolveHyperparameters,
  warmupSteps,
} from '../../src/formats/hyperparameters.ts';
import { resolveTuning } from '../../src/formats/tuning/tuning.ts';

const resolved = (requested: Hyperparameters) =>
  resolveHyperparameters(requested, { examples: 100, modelMaxLength: 512, tuning: resolveTuning(), fastestPrecision: () => 'f32' });

/** The witness is `TrainingArguments(warmup_steps=…).get_warmup_steps(total)` of transformers 5.23. */
describe('warmupSteps', () => {
  it.each([
    [{ warmup_ratio: 0.1 }, 30, 3],
    [{ warmup_ratio: 0.1 }, 31, 4],
    [{ warmup_steps: 0.1 }, 31, 4],
    [{ warmup_steps: 1 }, 31, 1],
    [{ warmup_steps: 7 }, 31, 7],
    [{ warmup_steps: 7.9 }, 31, 7],
    [{ warmup_steps: 0 }, 31, 0],
    [{}, 100, 3],
  ])('of %j in %d steps are %i', (requested, totalSteps, wanted) => {
    expect(warmupSteps(resolved(requested), totalSteps)).toBe(wanted);
  });
});

describe('hyperparameters', () => {
  it('with the schedule "constant" › have no warm-up of their own, and a warning if one was asked for', () => {
    expect(resolved({ lr_scheduler_type: 'constant' }).warmup_ratio).toBe(0);
    expect(hyperparameterWarnings({ lr_scheduler_type: 'constant' })).toEqual([]);
    expect(hyperparameterWarnings({ lr_scheduler_type: 'constant', warmup_ratio: 0 })).toEqual([]);
    expect(hyperparameterWarnings({ lr_scheduler_type: 'constant_with_warmup', warmup_ratio: 0.1 })).toEqual([]);
    expect(hyperparameterWarnings({ lr_scheduler_type: 'constant', warmup_steps: 5 })[0]).toContain('warmup_steps 5 has no effect');
  });

  it('that contradict each other › are refused by name', () => {
    const refusal = (requested: Hyperparameters) => () => checkHyperparameters(requested, { param: 'hyperparameters', tuning: resolveTuning() });
    expect(refusal({ warmup_ratio: 0.1, warmup_steps: 5 })).toThrow(expect.objectContaining({ param: 'hyperparameters.warmup_steps' }));
    expect(refusal({ learning_rate: 1e-3, learning_rate_multiplier: 2 })).toThrow(
      expect.objectContaining({ param: 'hyperparameters.learning_rate_multiplier' }),
    );
    expect(refusal({ learning_rate: 4e-4, learning_rate_multiplier: 2 })).not.toThrow();
    expect(refusal({ learning_rate: 'auto', learning_rate_multiplier: 2 })).not.toThrow();
  });

  it('with the schedule "polynomial" and a learning rate below its end › are refused, as by transformers', () => {
    expect(() => resolved({ lr_scheduler_type: 'polynomial', learning_rate: 1e-7 })).toThrow('ends at 1e-7');
  });
});
