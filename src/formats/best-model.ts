/** Which state of a run is the best, when the run stops because it no longer gets better, and whether the best is what it delivers. */
import { type Static, Type } from 'typebox';
import { Refusal } from './refusal.ts';

/** More evaluations than any run has. */
const MAX_PATIENCE = 10_000;

const BestModelFields = Type.Object({
  early_stopping_patience: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_PATIENCE,
      description:
        'Stops once this many evaluations in a row have not improved the metric. With it or load_best_model_at_end, the whole validation file is evaluated every eval_steps.',
    }),
  ),
  early_stopping_threshold: Type.Optional(
    Type.Number({ minimum: 0, default: 0, description: 'With early_stopping_patience: an improvement counts only if it is larger than this.' }),
  ),
  load_best_model_at_end: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Delivers the state with the best metric instead of the last one. A new best is kept as a checkpoint.',
    }),
  ),
  metric_for_best_model: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 128,
      default: 'loss',
      description: "A metric on the validation file (loss, mean_token_accuracy, …), or eval_{name}: an evaluation's score.",
    }),
  ),
  greater_is_better: Type.Optional(
    Type.Boolean({ description: 'Whether a larger metric is better; by default, unless the name of the metric ends with loss.' }),
  ),
});
export type BestModelFields = Static<typeof BestModelFields>;
export const bestModelFields = BestModelFields.properties;

/** The metric that decides, as a step's metrics name it. */
export interface WatchedMetric {
  name: string;
  greaterIsBetter: boolean;
}

/** Metrics on the whole validation file have this prefix. */
const ON_VALIDATION = 'full_valid_';

/**
 * @param evaluations names of the job's evaluations
 * @returns null if the run neither stops early nor delivers the best
 */
export function watchedMetric(asked: BestModelFields, evaluations: readonly string[]): WatchedMetric | null {
  if (asked.early_stopping_patience === undefined && asked.load_best_model_at_end !== true) return null;
  const metric = asked.metric_for_best_model ?? 'loss';
  const isScore = evaluations.some((name) => metric === `eval_${name}`);
  const name = isScore ? metric : ON_VALIDATION + metric.replace(/^(eval_|valid_|full_valid_)/, '');
  return { name, greaterIsBetter: asked.greater_is_better ?? !metric.endsWith('loss') };
}

/** Whether the metric is measured on the validation file. */
export const isOnValidation = ({ name }: WatchedMetric): boolean => name.startsWith(ON_VALIDATION);

/** @throws Refusal for a metric that the run does not measure, or a setting without effect */
export function checkBestModel(
  asked: BestModelFields,
  { param, evaluations, hasValidation }: { param: string; evaluations: readonly string[]; hasValidation: boolean },
): void {
  const watched = watchedMetric(asked, evaluations);
  const refuse = (field: keyof BestModelFields, message: string, hint: string): never => {
    throw new Refusal('invalid_value', message, { param: `${param}.${field}`, hint });
  };
  if (asked.early_stopping_threshold !== undefined && asked.early_stopping_patience === undefined)
    refuse('early_stopping_threshold', 'early_stopping_threshold has no effect without early_stopping_patience', 'Give both, or neither.');
  for (const field of ['metric_for_best_model', 'greater_is_better'] as const)
    if (asked[field] !== undefined && watched === null)
      refuse(field, `${field} has no effect by itself`, 'Give early_stopping_patience or load_best_model_at_end too.');
  if (watched === null || !isOnValidation(watched) || hasValidation) return;
  const scores = evaluations.map((name) => `eval_${name}`);
  const field = asked.early_stopping_patience === undefined ? 'load_best_model_at_end' : 'early_stopping_patience';
  refuse(
    field,
    `${field} needs a validation file, on which ${asked.metric_for_best_model ?? 'the loss'} is measured`,
    scores.length === 0 ? 'Give a validation_file.' : `Give one, or set metric_for_best_model to ${scores.join(' or ')}.`,
  );
}
