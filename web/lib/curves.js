/** Steps with their metrics, as curves. Pure: no page, no clock. */

/** @typedef {import('../api/types.d.ts').StepMetrics} StepMetrics */
/** @typedef {{ label: string, values: (number | null)[], isSparse: boolean }} Line */
/** `isExact`: has no noise to smooth away. @typedef {{ title: string, unit?: string, isExact?: boolean, steps: number[], lines: Line[] }} Curve */

/** Plots of what every job has, in the order in which people look at them; the rest follows, each by itself. */
const PLOTS = [
  { title: 'Loss', unit: 'nats per token', preferenceUnit: 'per example', names: kinds('loss') },
  {
    title: 'Accuracy',
    unit: 'share of tokens',
    names: kinds('mean_token_accuracy'),
  },
  { title: 'Divergence from the teacher', unit: 'nats per token', names: kinds('kd_loss') },
  { title: 'Cross-entropy', unit: 'nats per token', names: kinds('ce_loss') },
  { title: 'Preference accuracy', unit: 'share of pairs', names: kinds('rewards/accuracies') },
  { title: 'Reward margin', unit: 'better − worse', names: kinds('rewards/margins') },
  {
    title: 'Rewards',
    names: { 'train_rewards/chosen': 'better answers', 'train_rewards/rejected': 'worse answers' },
  },
  {
    title: 'Log-probability',
    names: { 'train_logps/chosen': 'better answers', 'train_logps/rejected': 'worse answers' },
  },
  { title: 'Learning rate', isExact: true, names: { learning_rate: 'of AdamW' } },
  { title: 'Gradient norm', names: { grad_norm: 'before clipping' } },
  { title: 'Tokens per second', names: { tokens_per_second: 'training' } },
  { title: 'Memory', unit: 'GB', isExact: true, names: { memory_gb: 'training process', peak_memory_gb: 'its peak' } },
];
/** They count, and say nothing as a curve. */
const COUNTS = ['epoch', 'tokens', 'supervised_tokens', 'seconds', 'answer_seconds', 'memory_bytes', 'peak_memory_bytes'];

/** A metric wherever it is measured, with what it is called there. @param {string} name @returns {Record<string, string>} */
function kinds(name) {
  return { [`train_${name}`]: 'training', [`valid_${name}`]: 'validation batch', [`full_valid_${name}`]: 'validation file' };
}

/** The metrics of a step, with what follows from them. @param {Record<string, number>} metrics @returns {Record<string, number>} */
export function withRates(metrics) {
  const { tokens, seconds, memory_bytes: memory, peak_memory_bytes: peak } = metrics;
  return {
    ...metrics,
    ...(tokens !== undefined && seconds !== undefined && seconds > 0 && { tokens_per_second: tokens / seconds }),
    ...(memory !== undefined && { memory_gb: memory / 1e9 }),
    ...(peak !== undefined && { peak_memory_gb: peak / 1e9 }),
  };
}

/** @param {StepMetrics[]} rows in the order of their steps @returns {Curve[]} */
export function curvesOf(rows) {
  const steps = rows.map(({ step }) => step);
  const all = rows.map(({ metrics }) => withRates(metrics));
  const present = new Set(all.flatMap(Object.keys));
  const line = (/** @type {string} */ name, /** @type {string} */ label) => {
    const values = all.map((metrics) => metrics[name] ?? null);
    return { label, values, isSparse: values.filter((value) => value !== null).length < values.length };
  };
  const isOfPreferences = present.has('train_rewards/margins');
  const known = PLOTS.map(({ names, preferenceUnit, unit, ...plot }) => ({
    ...plot,
    ...(unit !== undefined && { unit: isOfPreferences ? (preferenceUnit ?? unit) : unit }),
    steps,
    lines: Object.entries(names).flatMap(([name, label]) => (present.has(name) ? [line(name, label)] : [])),
  }));
  const named = [...COUNTS, ...PLOTS.flatMap(({ names }) => Object.keys(names))];
  const others = [...present].filter((name) => !named.includes(name)).sort();
  const own = others.map((name) => ({ title: titleOf(name), steps, lines: [line(name, 'score')] }));
  return [...known.filter(({ lines }) => lines.length > 0), ...own];
}

/** @param {string} name */
export const titleOf = (name) => {
  const text = name
    .replace(/^eval_/, 'grader ')
    .replace(/^train_/, 'training ')
    .replace(/^valid_/, 'validation batch ')
    .replace(/^full_valid_/, 'validation ')
    .replaceAll('_', ' ');
  return text[0]?.toUpperCase() + text.slice(1);
};

/** An exponential moving average that begins at the first value, corrected for its start as Adam's moments are. @param {(number | null)[]} values @param {number} weight of the past, from 0 to below 1 */
export function smooth(values, weight) {
  if (weight === 0) return values;
  let sum = 0;
  let share = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return sum / share;
  });
}

/** Lines of several runs over one row of steps. @param {{ label: string, rows: StepMetrics[] }[]} runs @param {string} name @returns {Curve} */
export function overlaid(runs, name) {
  const steps = [...new Set(runs.flatMap(({ rows }) => rows.map(({ step }) => step)))].sort((a, b) => a - b);
  const lines = runs.map(({ label, rows }) => {
    const byStep = new Map(rows.map(({ step, metrics }) => [step, withRates(metrics)[name] ?? null]));
    return { label, values: steps.map((step) => byStep.get(step) ?? null), isSparse: true };
  });
  return { title: titleOf(name), isExact: name === 'learning_rate', steps, lines };
}

/** What a curve says, in words. @param {Curve} curve @param {(value: number) => string} shown */
export function summary({ title, steps, lines }, shown) {
  const parts = lines.flatMap(({ label, values }) => {
    const known = values.flatMap((value, index) => (value === null ? [] : [{ value, step: steps[index] ?? 0 }]));
    const [first, last] = [known[0], known.at(-1)];
    if (first === undefined || last === undefined) return [];
    return [`${label}: ${shown(first.value)} at step ${first.step}, ${shown(last.value)} at step ${last.step}`];
  });
  return `${title}. ${parts.join('. ')}.`;
}
