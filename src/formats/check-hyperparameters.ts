/** What hyperparameters contradict: each other, the method, or the number of examples. */
import { checkQuantization } from './check-quantization.ts';
import { type Hyperparameters, MAX_EPOCHS, type ResolvedHyperparameters, rateOfMultiplier, stepsOf, warmupSteps } from './hyperparameters.ts';
import { comparesAnswers } from './objectives/format.ts';
import { type ObjectiveName, objectiveFormat } from './objectives/objectives.ts';
import { checkOptimizer } from './optimizer.ts';
import { explicit } from './or-auto.ts';
import { Refusal } from './refusal.ts';
import { checkSchedule, checkScheduleOfRun } from './schedule.ts';
import { type ResolvedTuning, virtualTokens } from './tuning/tuning.ts';

/** Relative; a job shows both, rounded. */
const SAME_RATE = 1e-9;

/**
 * @param options.param path of the hyperparameters in the request
 * @throws Refusal for values that contradict each other
 */
export function checkHyperparameters(
  requested: Hyperparameters,
  { param, tuning, objective = 'supervised' }: { param: string; tuning: ResolvedTuning; objective?: ObjectiveName },
): void {
  const format = objectiveFormat(objective);
  format.check(requested, param);
  if (comparesAnswers(format) && virtualTokens(tuning) > 0)
    throw new Refusal('invalid_value', `the method "${objective}" compares answers, which tuning.type "${tuning.type}" cannot do yet`, {
      param: 'tuning.type',
      hint: 'Use "lora", or another tuning that adds no tokens.',
    });
  checkQuantization(requested.quantization, { param, tuning });
  const { warmup_ratio: ratio, warmup_steps: steps } = requested;
  const [rate, multiplier] = [explicit(requested.learning_rate), explicit(requested.learning_rate_multiplier)];
  const ofMultiplier = multiplier === undefined ? undefined : multiplier * rateOfMultiplier(tuning, objective);
  if (rate !== undefined && ofMultiplier !== undefined && Math.abs(rate - ofMultiplier) > SAME_RATE * rate)
    throw new Refusal('invalid_value', `learning_rate is ${rate}, and learning_rate_multiplier asks for ${ofMultiplier}`, {
      param: `${param}.learning_rate_multiplier`,
      hint: 'Give one of them: the multiplier multiplies the default learning rate.',
    });
  if (ratio !== undefined && steps !== undefined)
    throw new Refusal('invalid_value', 'warmup_ratio and warmup_steps are both given', { param: `${param}.warmup_steps`, hint: 'Give one of them.' });
  checkSchedule(requested, param);
  checkOptimizer(requested, param);
}

/** Checks what depends on how many examples there are. @throws Refusal */
export function checkLength(resolved: ResolvedHyperparameters, examples: number): void {
  const { perEpoch, total } = stepsOf(resolved, examples);
  if (resolved.n_epochs > MAX_EPOCHS)
    throw new Refusal('invalid_value', `max_steps ${total} takes ${resolved.n_epochs} passes over the training file; the most are ${MAX_EPOCHS}`, {
      param: 'hyperparameters.max_steps',
      hint: `Use at most ${MAX_EPOCHS * perEpoch} steps.`,
    });
  checkScheduleOfRun(resolved, { learningRate: resolved.learning_rate, totalSteps: total, warmupSteps: warmupSteps(resolved, total) });
}
