import { AS_JSON, GRADERS } from '../../lib/fields.js';
import { html } from '../../lib/html.js';
import { evaluationProblem, kindOf, newEvaluation, PROMPT_KINDS, promptProblem } from '../../lib/questions.js';
import { AreaField, SelectField, TextField } from '../../parts/field.js';
import { Remove, useList } from '../../parts/list.js';
import { refusalAt } from '../../parts/refused.js';
import { FileField } from './data.js';
import { Setting } from './settings.js';

/** @typedef {import('../../lib/draft.js').Draft} Draft */
/** @typedef {import('../../lib/questions.js').Prompt} Prompt */
/** @typedef {import('../../lib/questions.js').Evaluation} Evaluation */
/** @typedef {import('../../parts/refused.js').Refused} Refused */

/** As the API takes them. */
const MOST_PROMPTS = 16;
const MOST_EVALUATIONS = 10;

/** @param {{ draft: Draft, change: (change: Partial<Draft>) => void, files: import('../../api/types.d.ts').StoredFile[], refused: Refused | null }} props */
export function QuestionFields({ draft, change, files, refused }) {
  const { prompts, evaluations, beside } = draft;
  const prompting = useList(prompts, (prompts) => change({ prompts }));
  const evaluating = useList(evaluations, (evaluations) => change({ evaluations }));
  const limit = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ hint, /** @type {string} */ placeholder) => html`
    <${TextField} id=${name} label=${label} hint=${hint} placeholder=${placeholder} isNumber value=${beside[name] ?? ''} problem=${refusalAt(refused, name)}
      onInput=${(/** @type {string} */ value) => change({ beside: { ...beside, [name]: value } })} />`;
  return html`
    <section class="card">
      <h2>5. Questions while it learns</h2>
      <p class="small quiet">The model is asked before the first step, at each evaluation and at the end, so that you see its answers change.</p>
      <div class="stack" ref=${prompting.box}>
        ${prompts.map(
          (prompt, index) => html`
          <fieldset class="part" key=${index}>
            <legend>Prompt ${index + 1}</legend>
            <${AreaField} id=${`prompt-${index}`} label="Text" isCode=${prompt.kind === 'messages'} value=${prompt.text} problem=${promptProblem(prompt) || refusalAt(refused, `sample_prompts.${index}`)}
              onInput=${(/** @type {string} */ text) => prompting.set(index, { ...prompt, text })} />
            <${SelectField} id=${`prompt-kind-${index}`} label="Sent as" options=${PROMPT_KINDS} value=${prompt.kind} onInput=${(/** @type {Prompt['kind']} */ kind) => prompting.set(index, { ...prompt, kind })} />
            <${Remove} what=${`prompt ${index + 1}`} onClick=${() => prompting.remove(index)} />
          </fieldset>`,
        )}
        <div><button type="button" class="add" disabled=${prompts.length >= MOST_PROMPTS} onClick=${() => prompting.add({ kind: 'message', text: '' })}>Add a sample prompt</button></div>
      </div>
      <div class="stack" ref=${evaluating.box}>
        ${evaluations.map((evaluation, index) => html`<${EvaluationFields} key=${index} evaluation=${evaluation} index=${index} refused=${refused} onChange=${(/** @type {Evaluation} */ next) => evaluating.set(index, next)} onRemove=${() => evaluating.remove(index)} />`)}
        <div><button type="button" class="add" disabled=${evaluations.length >= MOST_EVALUATIONS} onClick=${() => evaluating.add(newEvaluation('label_match'))}>Add a grader</button></div>
      </div>
      ${
        evaluations.length > 0 &&
        html`<${FileField} id="evaluation_file" label="Examples for the graders" none="Those of the validation file" value=${draft.evaluation_file} files=${files} onChange=${(/** @type {string} */ id) => change({ evaluation_file: id })} />`
      }
      ${
        evaluations.length + prompts.length > 0 &&
        html`
        <div class="fields">
          ${evaluations.length > 0 && limit('evaluation_max_examples', 'Most examples', 'From the beginning of the file.', '32')}
          ${limit('max_completion_tokens', 'Longest answer', 'In tokens.', '128')}
        </div>`
      }
    </section>`;
}

/** @param {{ evaluation: Evaluation, index: number, refused: Refused | null, onChange: (evaluation: Evaluation) => void, onRemove: () => void }} props */
function EvaluationFields({ evaluation, index, refused, onChange, onRemove }) {
  const { type, name, texts } = evaluation;
  const refusal = (/** @type {string} */ field) => refusalAt(refused, `evaluations.${index}.${field}`);
  return html`
    <fieldset class="part">
      <legend>Grader ${index + 1}</legend>
      <div class="fields">
        <${SelectField} id=${`grader-${index}`} label="Answers should be" hint=${kindOf(type)?.hint} value=${type} options=${GRADERS.map(({ type, label }) => [type, label])} onInput=${(/** @type {string} */ next) => onChange(newEvaluation(next))} />
        ${type !== AS_JSON && html`<${TextField} id=${`grader-${index}-name`} label="Called" hint=${`Its curve is eval_${name}.`} value=${name} problem=${refusal('name')} onInput=${(/** @type {string} */ next) => onChange({ ...evaluation, name: next })} />`}
        ${kindOf(type)?.fields.map(
          (field) => html`
          <${Setting} key=${field.name} id=${`grader-${index}-${field.name}`} field=${field} value=${texts[field.name] ?? ''} problem=${(field.isJson && evaluationProblem(evaluation)) || refusal(field.name)}
            onInput=${(/** @type {string} */ value) => onChange({ ...evaluation, texts: { ...texts, [field.name]: value } })} />`,
        )}
      </div>
      <${Remove} what=${`grader ${index + 1}`} onClick=${onRemove} />
    </fieldset>`;
}
