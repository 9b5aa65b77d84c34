/**
 * Numbers by name, from a step to its row, event and results file. Names with the prefix `train_`, `valid_` or `full_valid_` measure the model
 * on the step's own examples, on a batch of the validation file or on all of it; the objective defines the rest: `loss`, `mean_token_accuracy`, …
 * `eval_` and the name of an evaluation is what its grader gave the model's answers, on average.
 * Other names describe the run: `epoch`, `learning_rate`, …
 */
export type Metrics = Readonly<Record<string, number>>;

const MEASURED_ON = ['train', 'valid', 'full_valid', 'eval'] as const;

/** Prefixes the objective's metrics with what they were measured on. */
export const measuredOn = (what: (typeof MEASURED_ON)[number], metrics: Metrics): Metrics =>
  Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`${what}_${name}`, value]));

/** Only the metrics that measure the model. */
export const modelMetrics = (metrics: Metrics): Metrics =>
  Object.fromEntries(Object.entries(metrics).filter(([name]) => MEASURED_ON.some((what) => name.startsWith(`${what}_`))));
