import { useState } from 'preact/hooks';
import { html } from '../../lib/html.js';
import { refusalOf } from '../../parts/refused.js';
import { isTuned } from '../models.js';
import { DataFields } from './data.js';
import { QuestionFields } from './questions.js';
import { MethodFields, SettingFields } from './settings.js';

/** @typedef {import('../../api/types.d.ts').Model} Model */
/** @typedef {import('../../api/types.d.ts').StoredFile} StoredFile */
/** @typedef {import('../../lib/draft.js').Draft} Draft */

/**
 * All that says what a job is.
 * @param {{
 *   draft: Draft, change: (change: Partial<Draft>) => void, models: Model[], files: StoredFile[],
 *   refused: import('../../parts/refused.js').Refused | null, validates?: boolean,
 * }} props `files`: those that are uploaded already; `validates`: there is a place for a validation file at first
 */
export function JobFields({ models, files, validates = false, ...props }) {
  const { draft, change, refused } = props;
  const [uploaded, setUploaded] = useState(/** @type {StoredFile[]} */ ([]));
  const all = [...uploaded, ...files.filter(({ id }) => !uploaded.some((file) => file.id === id))];
  return html`
    <${DataFields} ...${props} files=${all} validates=${validates} onUploaded=${(/** @type {StoredFile} */ file) => setUploaded((known) => [file, ...known])} />
    <section class="card">
      <h2>2. Model</h2>
      <${ModelField} models=${models} value=${draft.model} problem=${refusalOf(refused, 'model')} onChange=${(/** @type {string} */ model) => change({ model })} />
    </section>
    <${MethodFields} ...${props} />
    <${SettingFields} ...${props} />
    <${QuestionFields} ...${props} files=${all} />`;
}

/** @param {{ models: Model[], value: string, problem: string, onChange: (model: string) => void }} props */
function ModelField({ models, value, problem, onChange }) {
  const isListed = models.some(({ id }) => id === value);
  const [isOther, setOther] = useState(!isListed && value !== '');
  return html`
    <div class="field">
      <label for="model">Start from</label>
      <select id="model" aria-invalid=${problem !== ''} aria-describedby=${problem === '' ? null : 'model-problem'} value=${isOther ? '' : value} onChange=${(
        /** @type {any} */ { currentTarget },
      ) => {
        setOther(currentTarget.value === '');
        onChange(currentTarget.value);
      }}>
        <optgroup label="Base models">${models.filter((model) => !isTuned(model)).map(({ id }) => html`<option value=${id}>${id}</option>`)}</optgroup>
        <optgroup label="Tuned models">${models.filter(isTuned).map(({ id }) => html`<option value=${id}>${id}</option>`)}</optgroup>
        <option value="">Another one, by name</option>
      </select>
      ${problem !== '' && html`<span class="problem" id="model-problem">${problem}</span>`}
      ${models.length === 0 && html`<span class="problem">No worker is running, or none has a model. A job can be created when one does.</span>`}
    </div>
    ${
      isOther &&
      html`
      <div class="field">
        <label for="model-name">Its name</label>
        <input id="model-name" value=${value} spellcheck=${false} onInput=${(/** @type {any} */ { currentTarget }) => onChange(currentTarget.value)} />
        <span class="hint"><code>org/name</code> on the hub if downloads are allowed, or a checkpoint’s name.</span>
      </div>`
    }`;
}
