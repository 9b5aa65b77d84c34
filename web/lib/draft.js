/** The form of a new job, and what it becomes. Pure. */
import { MAIN_FIELDS, METHODS, MORE_FIELDS, OBJECTIVES } from './fields.js';
import { evaluationOf, evaluationProblem, evaluationRequest, promptOf, promptProblem, promptRequest } from './questions.js';
import { filledIn, objectProblem, sorted, textOf, valueIn } from './written.js';

/** @typedef {import('../api/types.d.ts').Job} Job */

/**
 * Fields are texts, as people type them; an empty one is left to the service.
 * @typedef {{
 *   training_file: string, validation_file: string, evaluation_file: string, model: string, isDry: boolean,
 *   type: string, tuning: Record<string, string>,
 *   objective: string, hyperparameters: Record<string, string>, chat_template_kwargs: string,
 *   prompts: import('./questions.js').Prompt[], evaluations: import('./questions.js').Evaluation[],
 *   beside: Record<string, string>,
 *   kept: Kept,
 * }} Draft
 * `beside`: the job's own settings
 */

/**
 * What a copied job has that the form has no field for. `tuning` belongs to its `type`, and the rest of the method to its `objective`.
 * @typedef {{
 *   type: string, tuning: Record<string, unknown>, objective: string, method: Record<string, unknown>,
 *   hyperparameters: Record<string, unknown>, job: Record<string, unknown>,
 * }} Kept
 */

/** The job's own settings beside the files and the model. @type {readonly import('./fields.js').Field[]} */
const BESIDE = [{ name: 'suffix', label: '', isText: true }, ...names('seed', 'priority', 'evaluation_max_examples', 'max_completion_tokens')];

/** @param {...string} known */
function names(...known) {
  return known.map((name) => ({ name, label: '' }));
}

/** The setting of this name, as JSON. */
const KWARGS = { name: 'chat_template_kwargs', label: '', isJson: true };

/** @returns {Draft} */
export const emptyDraft = () => ({
  training_file: '',
  validation_file: '',
  evaluation_file: '',
  model: '',
  isDry: false,
  type: 'lora',
  tuning: {},
  objective: 'supervised',
  hyperparameters: {},
  chat_template_kwargs: '',
  prompts: [],
  evaluations: [],
  beside: {},
  kept: { type: '', tuning: {}, objective: '', method: {}, hyperparameters: {}, job: {} },
});

/** @param {string} objective */
export const hyperparameterFields = (objective) => [...MAIN_FIELDS, ...fieldsOf(OBJECTIVES, objective), ...MORE_FIELDS];

/** @param {readonly import('./fields.js').Kind[]} kinds @param {string} type */
export const fieldsOf = (kinds, type) => kinds.find((kind) => kind.type === type)?.fields ?? [];

/** A job like another one, with what was chosen for it. @param {Job} job @returns {Draft} */
export function draftOf(job) {
  const { type, ...chosenTuning } = job.tuning;
  const tuning = sorted(fieldsOf(METHODS, type), chosenTuning);
  const { type: objective } = job.method;
  const settings = /** @type {{ hyperparameters?: Record<string, unknown>, chat_template_kwargs?: unknown }} */ (job.method[objective] ?? {});
  const { hyperparameters: chosen = job.hyperparameters, chat_template_kwargs: kwargs, ...method } = settings;
  // The two say the same, and only one has a field.
  const { learning_rate_multiplier: multiplier, ...others } = chosen;
  const hyperparameters = sorted(hyperparameterFields(objective), 'learning_rate' in chosen || multiplier === undefined ? others : chosen);
  const { metadata, integrations, priority } = job;
  return {
    training_file: job.training_file,
    validation_file: job.validation_file ?? '',
    evaluation_file: job.evaluation_file ?? '',
    model: job.model,
    isDry: false,
    type,
    tuning: tuning.texts,
    objective,
    hyperparameters: hyperparameters.texts,
    chat_template_kwargs: textOf(KWARGS, kwargs),
    prompts: job.sample_prompts?.map(promptOf) ?? [],
    evaluations: job.evaluations?.map(evaluationOf) ?? [],
    beside: sorted(BESIDE, { ...job, priority: priority === 0 ? '' : priority }).texts,
    kept: {
      type,
      tuning: tuning.rest,
      objective,
      method,
      hyperparameters: hyperparameters.rest,
      job: { ...(metadata !== null && { metadata }), ...(integrations !== null && { integrations }) },
    },
  };
}

/** What is posted. @param {Draft} draft @returns {Record<string, unknown>} */
export function requestOf(draft) {
  const { objective, kept, chat_template_kwargs: kwargs } = draft;
  const chosen = { ...(objective === kept.objective && kept.hyperparameters), ...filledIn(hyperparameterFields(objective), draft.hyperparameters) };
  const method = {
    ...(objective === kept.objective && kept.method),
    ...(Object.keys(chosen).length > 0 && { hyperparameters: chosen }),
    ...(kwargs.trim() !== '' && { chat_template_kwargs: valueIn(KWARGS, kwargs) }),
  };
  const prompts = draft.prompts.filter(({ text }) => text.trim() !== '').map(promptRequest);
  return {
    model: draft.model,
    training_file: draft.training_file,
    ...given('validation_file', draft.validation_file),
    ...filledIn(BESIDE, asked(draft, prompts.length)),
    method: { type: objective, ...(Object.keys(method).length > 0 && { [objective]: method }) },
    tuning: { type: draft.type, ...(draft.type === kept.type && kept.tuning), ...filledIn(fieldsOf(METHODS, draft.type), draft.tuning) },
    ...(prompts.length > 0 && { sample_prompts: prompts }),
    ...(draft.evaluations.length > 0 && {
      evaluations: draft.evaluations.map(evaluationRequest),
      ...given('evaluation_file', draft.evaluation_file),
    }),
    ...kept.job,
    ...(draft.isDry && { dry_run: true }),
  };
}

/** @param {string} name @param {string} value */
const given = (name, value) => (value === '' ? {} : { [name]: value });

/** The limits of answers mean nothing to a job that asks for none, and the service says so. @param {Draft} draft @param {number} prompts how many */
function asked({ beside, evaluations }, prompts) {
  const { evaluation_max_examples: examples = '', max_completion_tokens: tokens = '', ...rest } = beside;
  return {
    ...rest,
    ...(evaluations.length > 0 && { evaluation_max_examples: examples }),
    ...(evaluations.length + prompts > 0 && { max_completion_tokens: tokens }),
  };
}

/** What keeps the form from being sent: the first text that does not say what it should. @param {Draft} draft @returns {{ message: string, param: string } | null} */
export function problemOf({ training_file: file, chat_template_kwargs: kwargs, prompts, evaluations }) {
  const problems = [
    { where: '', message: file === '' ? 'Choose or upload a training file first.' : '', param: 'training_file' },
    { where: 'Variables of the chat template: ', message: kwargs.trim() === '' ? '' : objectProblem(kwargs), param: 'chat_template_kwargs' },
    ...prompts.map((prompt, index) => ({ where: `Prompt ${index + 1}: `, message: promptProblem(prompt), param: `sample_prompts.${index}` })),
    ...evaluations.map((evaluation, index) => ({
      where: `Grader ${index + 1}: `,
      message: evaluationProblem(evaluation),
      param: `evaluations.${index}`,
    })),
  ];
  const found = problems.find(({ message }) => message !== '');
  return found === undefined ? null : { message: `${found.where}${found.message}`, param: found.param };
}
