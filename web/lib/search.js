/** What the jobs of a sweep differ in and how they are compared, as the form has it, and what it becomes. Pure. */
import { titleOf } from './curves.js';
import { emptyDraft, fieldsOf, hyperparameterFields, problemOf, requestOf } from './draft.js';
import { METHODS } from './fields.js';
import { filledIn, jsonOrText, split, valueIn } from './written.js';

/** @typedef {import('./draft.js').Draft} Draft */
/** @typedef {import('./fields.js').Field} Field */

/**
 * A field that the jobs differ in. `chosen`: the path of a field of the form, or OTHER, whose path is written. Of a list, `values` counts; of a range, the rest.
 * @typedef {{ chosen: string, path: string, isRange: boolean, values: string, min: string, max: string, isLog: boolean, isInteger: boolean }} Varied
 */
/**
 * @typedef {{
 *   name: string, strategy: string, varied: Varied[], numbers: Record<string, string>,
 *   budgetOf: string, budget: string, metric: string, mode: string,
 * }} Search `numbers`: those of the strategy
 */

/** Numbers that a strategy is given. @type {Readonly<Record<'n' | 'eta' | 'min_steps', Field>>} */
const NUMBERS = {
  n: { name: 'n', label: 'Jobs', hint: 'So many combinations are drawn.' },
  min_steps: { name: 'min_steps', label: 'First comparison', hint: 'After so many steps of each job.' },
  eta: { name: 'eta', label: 'One in … trains on', hint: 'And takes so many times the steps.', placeholder: '3' },
};

/** As the API names them. @type {readonly import('./fields.js').Kind[]} */
export const STRATEGIES = [
  { type: 'grid', label: 'Grid', hint: 'Every combination of the values.', fields: [] },
  {
    type: 'random',
    label: 'Random',
    hint: 'Some combinations, drawn from lists and ranges.',
    fields: [{ ...NUMBERS.n, placeholder: 'such as 8' }],
  },
  {
    type: 'successive_halving',
    label: 'Successive halving',
    hint: 'All begin; the worse ones are stopped early, and the best trains to its end.',
    fields: [
      { ...NUMBERS.n, hint: 'So many are drawn; empty: every combination.', placeholder: 'every combination' },
      { ...NUMBERS.min_steps, placeholder: 'such as 20' },
      NUMBERS.eta,
    ],
  },
];

/** The field that is named by its path: what the form has no field for. */
export const OTHER = 'other';

/** @type {Varied} */
const NEW = { chosen: OTHER, path: '', isRange: false, values: '', min: '', max: '', isLog: false, isInteger: false };

/** @returns {Search} */
export const emptySearch = () => ({
  name: '',
  strategy: 'grid',
  varied: [variedOf(emptyDraft(), 'hyperparameters.learning_rate')],
  numbers: {},
  budgetOf: 'steps',
  budget: '',
  metric: '',
  mode: '',
});

/** The fields of a job that may differ, by their paths: those that its form has. @param {Draft} draft @returns {{ path: string, field: Field }[]} */
export const variable = ({ objective, type }) => [
  ...hyperparameterFields(objective).map((field) => ({ path: `hyperparameters.${field.name}`, field })),
  ...fieldsOf(METHODS, type).map((field) => ({ path: `tuning.${field.name}`, field })),
  { path: 'model', field: { name: 'model', label: 'Model', isText: true } },
];

/** One that begins with what the form has for the field. @param {Draft} draft @param {string} chosen @returns {Varied} */
export function variedOf(draft, chosen) {
  const field = variable(draft).find(({ path }) => path === chosen)?.field;
  if (field === undefined) return { ...NEW, path: chosen === OTHER ? '' : chosen };
  /** @type {Record<string, string>} */
  const texts = { ...draft.tuning, ...draft.hyperparameters, model: draft.model };
  return { ...NEW, chosen, values: texts[field.name] ?? '', isLog: field.drawn === 'log', isInteger: field.drawn === 'integer' };
}

/** @param {Draft} draft @param {Search} search the first field that does not differ yet */
export const nextVaried = (draft, { varied }) =>
  variedOf(draft, variable(draft).find(({ path }) => path.startsWith('tuning.') && !varied.some((known) => pathOf(known) === path))?.path ?? OTHER);

/** @param {Varied} varied */
export const pathOf = ({ chosen, path }) => (chosen === OTHER ? path.trim() : chosen);

/** The field as the form has it; null for one that is named by its path. @param {Draft} draft @param {Varied} varied */
export const fieldOf = (draft, { chosen }) => variable(draft).find(({ path }) => path === chosen)?.field ?? null;

/** Whether a value may have commas and spaces in it, so that each has its line. @param {Field | null} field */
export const isByLine = (field) => field === null || field.isList === true || field.isText === true;

/** @param {Field | null} field @param {string} text */
function valuesIn(field, text) {
  const parts = split(text, isByLine(field) ? /\n/ : /[\s,]+/);
  return parts.map((part) => (field === null ? jsonOrText(part) : valueIn(field, part)));
}

/** A text that is no number is sent as it is, and refused. @param {string} text */
const numberIn = (text) => valueIn({ name: '', label: '' }, text.trim());

/** @param {Draft} draft @param {Varied} varied */
function parameterOf(draft, varied) {
  const { isRange, values, min, max, isLog, isInteger } = varied;
  if (!isRange) return valuesIn(fieldOf(draft, varied), values);
  return { min: numberIn(min), max: numberIn(max), ...(isLog && { scale: 'log' }), ...(isInteger && { type: 'integer' }) };
}

/** What is posted. A seed is that of what is drawn, and of the jobs. @param {Draft} draft @param {Search} search @returns {SweepRequest} */
export function sweepRequestOf(draft, search) {
  const { name, strategy, varied, numbers, budget, budgetOf, metric, mode } = search;
  const base = requestOf({ ...draft, isDry: false });
  return {
    ...(name.trim() !== '' && { name: name.trim() }),
    base,
    search: {
      strategy,
      parameters: Object.fromEntries(varied.map((one) => [pathOf(one), parameterOf(draft, one)])),
      ...filledIn(fieldsOf(STRATEGIES, strategy), numbers),
    },
    ...(hasBudget(search) && budget.trim() !== '' && { budget: { [budgetOf]: numberIn(budget) } }),
    ...(base['seed'] !== undefined && { seed: base['seed'] }),
    ...(metric !== '' && { metric }),
    ...(mode !== '' && { mode }),
  };
}

/**
 * @typedef {{
 *   name?: string, base: Record<string, unknown>, search: { strategy: string, parameters: Record<string, unknown> } & Record<string, unknown>,
 *   budget?: Record<string, unknown>, seed?: unknown, metric?: string, mode?: string,
 * }} SweepRequest
 */

/** What successive halving uses is decided by its numbers. @param {Search} search */
export const hasBudget = ({ strategy }) => strategy !== 'successive_halving';

/** What jobs can be compared by: names of metrics, in words. @param {Draft} draft */
export const metricsOf = ({ evaluations }) => [
  /** @type {const} */ (['', titleOf('full_valid_loss')]),
  ...['full_valid_mean_token_accuracy', 'train_loss', 'train_mean_token_accuracy'].map((name) => /** @type {const} */ ([name, titleOf(name)])),
  ...evaluations.filter(({ name }) => name.trim() !== '').map(({ name }) => /** @type {const} */ ([`eval_${name.trim()}`, `Grader ${name.trim()}`])),
];

/** What keeps the form from being sent: what the API would not be able to name. @param {Draft} draft @param {Search} search @returns {{ message: string, param: string } | null} */
export function sweepProblemOf(draft, search) {
  const ofJob = problemOf(draft);
  if (ofJob !== null) return { ...ofJob, param: `base.${ofJob.param}` };
  if (search.varied.length === 0) return { message: 'Add a field that the jobs differ in.', param: 'search.parameters' };
  for (const [index, varied] of search.varied.entries()) {
    const message = variedProblem(draft, search, index);
    if (message !== '')
      return {
        message: `${fieldOf(draft, varied)?.label ?? (pathOf(varied) || 'Another field')}: ${message}`,
        param: `search.parameters.${pathOf(varied)}`,
      };
  }
  return null;
}

/** @param {Draft} draft @param {Search} search @param {number} index */
function variedProblem(draft, { varied }, index) {
  const one = varied[index] ?? NEW;
  if (pathOf(one) === '') return 'Write the path of a field, such as tuning.use_dora.';
  if (varied.slice(0, index).some((other) => pathOf(other) === pathOf(one))) return 'It is there twice. Remove one of them.';
  if (!one.isRange) return valuesIn(fieldOf(draft, one), one.values).length === 0 ? 'Give it at least one value.' : '';
  return [one.min, one.max].every((text) => typeof numberIn(text) === 'number' && text.trim() !== '')
    ? ''
    : 'A range goes from a number to a number.';
}
