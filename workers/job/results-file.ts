import type { StepMetric } from '../../src/jobs/job.ts';

/** Metric → OpenAI's column, in the order of the columns after `step`. */
const CONTRACT_COLUMNS: Readonly<Record<string, string>> = {
  train_loss: 'train_loss',
  train_mean_token_accuracy: 'train_accuracy',
  valid_loss: 'valid_loss',
  valid_mean_token_accuracy: 'valid_mean_token_accuracy',
};

/** The results file: one line per step, OpenAI's columns first, then every other metric. Values that were not measured at a step are empty. */
export function resultsFile(rows: readonly StepMetric[]): string {
  const others = [...new Set(rows.flatMap(({ metrics }) => Object.keys(metrics)))].filter((name) => !(name in CONTRACT_COLUMNS)).sort();
  const names = [...Object.keys(CONTRACT_COLUMNS), ...others];
  const header = ['step', ...Object.values(CONTRACT_COLUMNS), ...others];
  const lines = rows.map(({ step, metrics }) => [step, ...names.map((name) => metrics[name] ?? '')]);
  return [header, ...lines].map((line) => `${line.join(',')}\n`).join('');
}
