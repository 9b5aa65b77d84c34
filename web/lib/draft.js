/** The form of a new job, and what it becomes. Pure. */

/** @typedef {import('../api/types.d.ts').Job} Job */

/**
 * Fields are texts, as people type them; an empty one is left to the service.
 * @typedef {{
 *   training_file: string, validation_file: string, model: string, suffix: string, seed: string, priority: string,
 *   type: string, r: string, lora_alpha: string, lora_dropout: string, target_modules: string,
 *   hyperparameters: Record<string, string>,
 *   more: Record<string, unknown>,
 * }} Draft
 * `more`: settings of a copied job for which the form has no field
 */

/** @typedef {{ name: string, label: string, hint: string, options?: readonly string[] }} Field */

/** @type {readonly Field[]} */
export const MAIN_FIELDS = [
  { name: 'n_epochs', label: 'Epochs', hint: 'Passes over the file.' },
  { name: 'batch_size', label: 'Batch size', hint: 'Examples per step.' },
  { name: 'learning_rate', label: 'Learning rate', hint: 'Of AdamW, at its peak.' },
];

/** @type {readonly Field[]} */
export const MORE_FIELDS = [
  {
    name: 'lr_scheduler_type',
    label: 'Schedule',
    hint: 'How the rate falls.',
    options: ['linear', 'cosine', 'constant', 'constant_with_warmup', 'cosine_with_restarts', 'polynomial', 'inverse_sqrt'],
  },
  { name: 'warmup_ratio', label: 'Warm-up', hint: 'Share of the steps.' },
  { name: 'weight_decay', label: 'Weight decay', hint: 'Of matrices.' },
  { name: 'max_grad_norm', label: 'Gradient clip', hint: '0 turns it off.' },
  { name: 'max_length', label: 'Longest example', hint: 'In tokens.' },
  { name: 'truncation', label: 'Longer ones are', hint: 'error: the job fails.', options: ['error', 'right', 'left', 'drop'] },
  { name: 'eval_steps', label: 'Evaluate every', hint: 'Steps.' },
  { name: 'save_steps', label: 'Checkpoint every', hint: 'Steps; 0: each epoch.' },
  { name: 'precision', label: 'Precision', hint: 'Of matrix products.', options: ['f32', 'bf16'] },
];

const FIELDS = [...MAIN_FIELDS, ...MORE_FIELDS];

/** @type {readonly { name: string, label: string, hint: string, hyperparameters: Record<string, string>, r: string }[]} */
export const PRESETS = [
  { name: 'auto', label: 'By the data', hint: 'Epochs and batch size follow from the number of examples.', hyperparameters: {}, r: '' },
  { name: 'quick', label: 'Quick look', hint: 'One epoch, rank 8: is the data any good?', hyperparameters: { n_epochs: '1' }, r: '8' },
  {
    name: 'thorough',
    label: 'Thorough',
    hint: 'Five epochs, rank 32, a cosine schedule.',
    hyperparameters: { n_epochs: '5', lr_scheduler_type: 'cosine', warmup_ratio: '0.05' },
    r: '32',
  },
];

/** @returns {Draft} */
export const emptyDraft = () => ({
  training_file: '',
  validation_file: '',
  model: '',
  suffix: '',
  seed: '',
  priority: '',
  type: 'lora',
  r: '',
  lora_alpha: '',
  lora_dropout: '',
  target_modules: '',
  hyperparameters: {},
  more: {},
});

/** A job like another one, with what was chosen for it. @param {Job} job @returns {Draft} */
export function draftOf(job) {
  const { type, r, lora_alpha: alpha, lora_dropout: dropout, target_modules: targets } = job.tuning;
  const known = FIELDS.map(({ name }) => name);
  const entries = Object.entries(job.hyperparameters).filter(
    ([name]) => name !== 'learning_rate_multiplier' || !('learning_rate' in job.hyperparameters),
  );
  return {
    ...emptyDraft(),
    training_file: job.training_file,
    validation_file: job.validation_file ?? '',
    model: job.model,
    suffix: job.suffix ?? '',
    seed: String(job.seed),
    priority: job.priority === 0 ? '' : String(job.priority),
    type,
    r: text(r),
    lora_alpha: text(alpha),
    lora_dropout: text(dropout),
    target_modules: Array.isArray(targets) ? targets.join(', ') : '',
    hyperparameters: Object.fromEntries(entries.filter(([name]) => known.includes(name)).map(([name, value]) => [name, text(value)])),
    more: Object.fromEntries(entries.filter(([name]) => !known.includes(name))),
  };
}

/** @param {unknown} value */
const text = (value) => (value === undefined || value === 'auto' ? '' : String(value));

/** What is posted. @param {Draft} draft @returns {Record<string, unknown>} */
export function requestOf(draft) {
  const chosen = { ...draft.more, ...given(draft.hyperparameters) };
  const targets = draft.target_modules.split(/[\s,]+/).filter((name) => name !== '');
  const lora = {
    ...given({ r: draft.r, lora_alpha: draft.lora_alpha, lora_dropout: draft.lora_dropout }),
    ...(targets.length > 0 && { target_modules: targets }),
  };
  return {
    model: draft.model,
    training_file: draft.training_file,
    ...(draft.validation_file !== '' && { validation_file: draft.validation_file }),
    ...(draft.suffix !== '' && { suffix: draft.suffix }),
    ...given({ seed: draft.seed, priority: draft.priority }),
    method: { type: 'supervised', ...(Object.keys(chosen).length > 0 && { supervised: { hyperparameters: chosen } }) },
    tuning: { type: draft.type, ...(draft.type === 'lora' && lora) },
  };
}

/** Fields that are filled in; numbers as numbers. @param {Record<string, string>} fields @returns {Record<string, string | number>} */
function given(fields) {
  const filled = Object.entries(fields).filter(([, value]) => value.trim() !== '');
  return Object.fromEntries(filled.map(([name, value]) => [name, Number.isNaN(Number(value)) ? value.trim() : Number(value)]));
}
