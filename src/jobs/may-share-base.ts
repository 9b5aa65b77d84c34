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
  if (tuning.type !== 'lora' || (tuning.lora_dropout ?? 0) > 0) return false;
  const { use_dora: dora = false, bias = 'none', modules_to_save: saved, init_lora_weights: initial = true } = tuning;
  return !dora && bias === 'none' && saved === undefined && [true, false, 'gaussian'].includes(initial);
}
