/** Learning rates over a run: transformers' schedules, by the names that its Trainer knows them by, each with its defaults. */
import { POLYNOMIAL_END, type SchedulerType } from '../../../src/formats/hyperparameters.ts';

export interface Schedule {
  type: SchedulerType;
  /** The largest learning rate, reached at the end of the warm-up. */
  peak: number;
  warmupSteps: number;
  totalSteps: number;
}

/** The time scale of `inverse_sqrt` without a warm-up, steps. */
const INVERSE_SQRT_STEPS = 10_000;

/**
 * @param step optimizer steps taken so far: 0 for the first step, as PyTorch's LambdaLR counts
 */
export function learningRate(step: number, { type, peak, warmupSteps, totalSteps }: Schedule): number {
  if (type === 'constant') return peak; // the only one without a warm-up
  if (step < warmupSteps) return peak * (step / Math.max(1, warmupSteps));
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  switch (type) {
    case 'constant_with_warmup':
      return peak;
    case 'linear':
      return peak * Math.max(0, 1 - progress);
    case 'cosine':
    case 'cosine_with_restarts': // a single cycle: no restart
      return peak * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
    case 'polynomial': // of power 1
      return (peak - POLYNOMIAL_END) * (1 - progress) + POLYNOMIAL_END;
    case 'inverse_sqrt': {
      const timescale = warmupSteps || INVERSE_SQRT_STEPS;
      return peak / Math.sqrt((step - warmupSteps + timescale) / timescale);
    }
  }
}
