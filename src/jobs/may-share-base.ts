import { isAdded } from '../formats/tuning/lora.ts';
import type { NewJob } from './job.ts';

/** What a request for a job has beside what the job shows. */
interface Asked {
  /** Whether it chooses the seed. */
  isSeeded: boolean;
  /** Whether it starts from a tuned model, a checkpoint or an adapter. */
  isContinued: boolean;
}

/**
 * Whether a job may train beside others of its project on one copy of their base. Its numbers are then those that it has alone but for rounding, and whoever
 * chooses a seed wants the same bytes again. Only adapters that are products beside linear layers can share a pass.
 */
export function mayShareBase(
  { objective = 'supervised', tuning, hyperparameters, dryRun = false }: Pick<NewJob, 'objective' | 'tuning' | 'hyperparameters' | 'dryRun'>,
  { isSeeded, isContinued }: Asked,
): boolean {
  if (isSeeded || isContinued || dryRun || objective !== 'supervised' || hyperparameters.neftune_noise_alpha != null) return false;
  return tuning.type === 'lora' && (tuning.lora_dropout ?? 0) === 0 && isAdded(tuning);
}
