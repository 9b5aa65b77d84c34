/** What a job asks its model between steps, as the form has it. Pure. */
import { AS_JSON, GRADERS } from './fields.js';
import { filledIn, jsonProblem, objectProblem, sorted, valueIn } from './written.js';

/** @typedef {{ role: string, content: string }[]} Messages */
/** `kind`: a user's message, a text to continue, or a conversation as JSON. @typedef {{ kind: 'message' | 'text' | 'messages', text: string }} Prompt */
/** `rest`: what a copied one has beside its fields. @typedef {{ type: string, name: string, texts: Record<string, string>, rest: Record<string, unknown> }} Evaluation */

export const PROMPT_KINDS = /** @type {const} */ ([
  ['message', 'Message'],
  ['text', 'Text to continue'],
  ['messages', 'Conversation as JSON'],
]);

/** @param {string | Messages} prompt @returns {Prompt} */
export function promptOf(prompt) {
  if (typeof prompt === 'string') return { kind: 'text', text: prompt };
  const [only] = prompt;
  if (prompt.length === 1 && only?.role === 'user') return { kind: 'message', text: only.content };
  return { kind: 'messages', text: JSON.stringify(prompt, null, 2) };
}

/** @param {Prompt} prompt @returns {string | Messages} */
export function promptRequest({ kind, text }) {
  if (kind === 'message') return [{ role: 'user', content: text }];
  if (kind === 'text' || promptProblem({ kind, text }) !== '') return text;
  return /** @type {Messages} */ (JSON.parse(text));
}

/** @param {Prompt} prompt */
export function promptProblem({ kind, text }) {
  if (kind !== 'messages' || text.trim() === '') return '';
  return jsonProblem(text, Array.isArray, 'Write a JSON list of messages, such as [{"role": "user", "content": "Hello"}].');
}

/** What an evaluation reads if it does not say. */
const INPUT = '{{sample.output_text}}';

/** @param {string} type */
export const kindOf = (type) => GRADERS.find((kind) => kind.type === type) ?? GRADERS[GRADERS.length - 1];

/** @param {string} type @returns {Evaluation} */
export function newEvaluation(type) {
  const kind = kindOf(type);
  return { type, name: kind?.name ?? '', texts: Object.fromEntries(kind?.fields.map(({ name, initial = '' }) => [name, initial]) ?? []), rest: {} };
}

/** @param {Record<string, unknown>} grader @returns {Evaluation} */
export function evaluationOf({ type, name, ...settings }) {
  const kind = GRADERS.find((known) => known.type === type);
  if (kind === undefined || typeof name !== 'string')
    return { ...newEvaluation(AS_JSON), texts: { [AS_JSON]: JSON.stringify({ type, name, ...settings }, null, 2) } };
  return { type: kind.type, name, ...sorted(kind.fields, settings) };
}

/** @param {Evaluation} evaluation @returns {unknown} */
export function evaluationRequest({ type, name, texts, rest }) {
  if (type === AS_JSON) return valueIn({ name: AS_JSON, label: '', isJson: true }, texts[AS_JSON] ?? '');
  return { type, name: name.trim(), input: INPUT, ...rest, ...filledIn(kindOf(type)?.fields ?? [], texts) };
}

/** @param {Evaluation} evaluation */
export function evaluationProblem({ type, texts }) {
  const json = kindOf(type)?.fields.find(({ isJson }) => isJson);
  return json === undefined ? '' : objectProblem(texts[json.name] ?? '');
}
