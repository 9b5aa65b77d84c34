import { describe, expect, it } from 'vitest';
import { checkHyperparameters, checkLength } from '../../src/formats/check-hyperparameters.ts';
import { hyperparameterWarnings } from '../../src/formats/hyperparameter-warnings.ts';
import { type Hyperparameters, resolveHyperparameters, warmupSteps } from '../../src/formats/hyperparameters.ts';
import { resolveTuning } from '../../src/formats/tuning/tuning.ts';

const resolved = (requested: Hyperparameters) =>
  resolveHyperparameters(requested, { examples: 100, modelMaxLength: 512, tuning: resolveTuning(), fastestPrecision: () => 'f32' });

const warnings = (requested: Hyperparameters) => hyperparameterWarnings(requested, resolved(requested));
/** What depends on the 100 examples. */
const check = (requested: Hyperparameters) => checkLength(resolved(requested), 100);

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
    expect(warnings({ lr_scheduler_type: 'constant' })).toEqual([]);
    expect(warnings({ lr_scheduler_type: 'constant', warmup_ratio: 0 })).toEqual([]);
    expect(warnings({ lr_scheduler_type: 'constant_with_warmup', warmup_ratio: 0.1 })).toEqual([]);
    expect(warnings({ lr_scheduler_type: 'constant', warmup_steps: 5 })[0]).toContain('warmup_steps 5 has no effect');
  });

  it('that contradict each other › are refused by name', () => {
    const refusal = (requested: Hyperparameters) => () => checkHyperparameters(requested, { param: 'hyperparameters', tuning: resolveTuning() });
    expect(refusal({ warmup_ratio: 0.1, warmup_steps: 5 })).toThrow(expect.objectContaining({ param: 'hyperparameters.warmup_steps' }));
    expect(refusal({ learning_rate: 1e-3, learning_rate_multiplier: 2 })).toThrow(
      expect.objectContaining({ param: 'hyperparameters.learning_rate_multiplier' }),
    );
    expect(refusal({ learning_rate: 4e-4, learning_rate_multiplier: 2 })).not.toThrow();
    expect(refusal({ learning_rate: 'auto', learning_rate_multiplier: 2 })).not.toThrow();
    expect(refusal({ optimizer_in_bwd: true })).toThrow(expect.objectContaining({ param: 'hyperparameters.max_grad_norm' }));
    expect(refusal({ optimizer_in_bwd: true, max_grad_norm: 0, loss_spike_factor: 3 })).toThrow(
      expect.objectContaining({ param: 'hyperparameters.loss_spike_factor' }),
    );
    expect(refusal({ optimizer_in_bwd: true, max_grad_norm: 0 })).not.toThrow();
  });

  it('with the schedule "polynomial" and a learning rate below its end › are refused, as by transformers', () => {
    expect(() => check({ lr_scheduler_type: 'polynomial', learning_rate: 1e-7 })).toThrow('ends at 1e-7');
  });

  it('with max_steps › take as many passes as these steps need, and say so where n_epochs says otherwise', () => {
    expect(resolved({ max_steps: 120, batch_size: 2 })).toMatchObject({ max_steps: 120, n_epochs: 3, eval_steps: 12 });
    expect(warnings({ max_steps: 120, batch_size: 2, n_epochs: 2 })).toEqual([expect.stringContaining('n_epochs 2 has no effect')]);
    expect(warnings({ max_steps: 120, batch_size: 2, n_epochs: 3 })).toEqual([]);
    expect(() => check({ max_steps: 2501, batch_size: 2 })).toThrow('takes 51 passes over the training file');
  });

  it.each([
    [{ lr_scheduler_type: 'linear', lr_scheduler_kwargs: { power: 2 } }, '"linear" has no setting "power"'],
    [{ lr_scheduler_type: 'cosine_with_min_lr' }, 'needs one of min_lr and min_lr_rate'],
    [{ lr_scheduler_type: 'warmup_stable_decay' }, 'needs num_decay_steps'],
    [{ lr_scheduler_type: 'cosine_with_restarts', lr_scheduler_kwargs: { num_cycles: 1.5 } }, 'counted in whole numbers'],
  ] as const)('%j › are refused by name', (requested, message) => {
    expect(() => checkHyperparameters(requested, { param: 'hyperparameters', tuning: resolveTuning() })).toThrow(message);
  });

  it('with a warm-up and a decay that are longer than the job › are refused', () => {
    const kwargs = { num_decay_steps: 90, num_stable_steps: 10 };
    const asked = { lr_scheduler_type: 'warmup_stable_decay', lr_scheduler_kwargs: kwargs, max_steps: 100, batch_size: 1, warmup_steps: 5 } as const;
    expect(() => check(asked)).toThrow('the schedule has 105 steps, warm-up included, but the job has 100');
  });
});
