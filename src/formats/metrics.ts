/**
 * Numbers by name, from a step to its row, its event and the results file. Names that begin with `train_`, `valid_` or `full_valid_` measure the model:
 * on the step's own examples, on a batch of the validation file, on all of it. What follows is the objective's: `loss`, `mean_token_accuracy`, …
 * Other names tell of the run: `epoch`, `learning_rate`, …
 */
export type Metrics = Readonly<Record<string, number>>;

const MEASURED_ON = ['train', 'valid', 'full_valid'] as const;

/** The objective's metrics under the names that say what they were measured on. */
export const measuredOn = (what: (typeof MEASURED_ON)[number], metrics: Metrics): Metrics =>
  Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`${what}_${name}`, value]));

/** Those that measure the model. */
export const ofModel = (metrics: Metrics): Metrics =>
  Object.fromEntries(Object.entries(metrics).filter(([name]) => MEASURED_ON.some((what) => name.startsWith(`${what}_`))));
