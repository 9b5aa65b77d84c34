import type { Hyperparameters, ResolvedHyperparameters } from './hyperparameters.ts';
import { explicit } from './or-auto.ts';

/** @returns what was asked for but has no effect, for the user, in whole sentences. @param resolved the same with every choice resolved */
export function hyperparameterWarnings(
  { lr_scheduler_type: type, warmup_ratio: ratio, warmup_steps: steps, n_epochs: epochs, max_steps: maxSteps }: Hyperparameters,
  resolved: ResolvedHyperparameters,
): string[] {
  const warnings: string[] = [];
  const asked = explicit(epochs);
  if (maxSteps !== undefined && asked !== undefined && asked !== resolved.n_epochs)
    warnings.push(`max_steps ${maxSteps} decides how long the job trains, so n_epochs ${asked} has no effect`);
  if (type === 'constant' && (steps ?? ratio)) {
    const field = steps === undefined ? 'warmup_ratio' : 'warmup_steps';
    warnings.push(`lr_scheduler_type "constant" has no warm-up, so ${field} ${steps ?? ratio} has no effect. "constant_with_warmup" warms up`);
  }
  return warnings;
}
