/** Learning rates over a run: transformers' schedules, by the names that its Trainer knows them by, with its settings and defaults. */
import { POLYNOMIAL_END, type SchedulerKwargs, type SchedulerType } from '../../../src/formats/schedule.ts';

export interface Schedule {
  type: SchedulerType;
  kwargs?: SchedulerKwargs;
  /** The largest learning rate, reached at the end of the warm-up. */
  peak: number;
  warmupSteps: number;
  totalSteps: number;
}

/** The time scale of `inverse_sqrt` without a warm-up, steps. */
const INVERSE_SQRT_STEPS = 10_000;
/** From the largest value down to 0, once. */
const HALF_A_WAVE = 0.5;

/**
 * @param step optimizer steps taken so far: 0 for the first step, as PyTorch's LambdaLR counts
 */
export function learningRate(step: number, schedule: Schedule): number {
  const { type, kwargs = {}, peak, warmupSteps, totalSteps } = schedule;
  if (type === 'constant') return peak; // the only one without a warm-up
  if (type === 'warmup_stable_decay') return peak * warmupStableDecay(step, schedule);
  if (step < warmupSteps) return peak * (step / Math.max(1, warmupSteps));
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  switch (type) {
    case 'constant_with_warmup':
      return peak;
    case 'linear':
      return peak * Math.max(0, 1 - progress);
    case 'cosine':
      return peak * Math.max(0, wave(progress, kwargs.num_cycles));
    case 'cosine_with_restarts':
      return peak * wave(((kwargs.num_cycles ?? 1) * progress) % 1);
    case 'cosine_with_min_lr': {
      const least = kwargs.min_lr_rate ?? kwargs.min_lr! / peak;
      return peak * Math.max(0, raised(wave(progress, kwargs.num_cycles), least));
    }
    case 'polynomial': {
      const end = kwargs.lr_end ?? POLYNOMIAL_END;
      return (peak - end) * (1 - progress) ** (kwargs.power ?? 1) + end;
    }
    case 'inverse_sqrt': {
      const timescale = kwargs.timescale ?? (warmupSteps || INVERSE_SQRT_STEPS);
      return peak / Math.sqrt((step - warmupSteps + timescale) / timescale);
    }
  }
}

/** @returns the share of the largest learning rate */
function warmupStableDecay(step: number, { kwargs = {}, warmupSteps, totalSteps }: Schedule): number {
  const { num_decay_steps: decaySteps = 0, warmup_type: warmup = 'linear', decay_type: decay = 'cosine', min_lr_ratio: least = 0 } = kwargs;
  const decaysFrom = warmupSteps + (kwargs.num_stable_steps ?? totalSteps - warmupSteps - decaySteps);
  if (step < warmupSteps) {
    const progress = step / Math.max(1, warmupSteps);
    const rising = { linear: progress, cosine: 0.5 * (1 - Math.cos(Math.PI * progress)), '1-sqrt': 1 - Math.sqrt(1 - progress) };
    return Math.max(0, raised(rising[warmup], least));
  }
  if (step < decaysFrom) return 1;
  if (step >= decaysFrom + decaySteps) return least;
  const progress = (step - decaysFrom) / Math.max(1, decaySteps);
  const falling = { linear: 1 - progress, cosine: wave(progress, kwargs.num_cycles), '1-sqrt': 1 - Math.sqrt(progress) };
  return Math.max(0, raised(falling[decay], least));
}

/** A cosine from 1 to 0 and back, as often as there are cycles. */
const wave = (progress: number, cycles = HALF_A_WAVE): number => 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * progress));

/** Between 0 and 1 → between the least and 1. */
const raised = (factor: number, least: number): number => factor * (1 - least) + least;
