import { useState } from 'preact/hooks';
import { bytes } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { unsuited } from '../../lib/suited.js';
import { DropZone, Findings } from '../../parts/dataset.js';

/** @typedef {import('../../api/types.d.ts').StoredFile} StoredFile */
/** @typedef {import('../../lib/draft.js').Draft} Draft */
/** @typedef {import('../../api/types.d.ts').FileValidation} FileValidation */

/** @param {{ draft: Draft, change: (change: Partial<Draft>) => void, files: StoredFile[], onUploaded: (file: StoredFile) => void }} props */
export function DataFields({ draft, change, files, onUploaded }) {
  const [isValidating, setValidating] = useState(draft.validation_file !== '');
  /** @param {'training_file' | 'validation_file'} name */
  const take = (name) => (/** @type {StoredFile} */ file) => {
    onUploaded(file);
    change({ [name]: file.id });
  };
  const problemOf = (/** @type {FileValidation} */ found) => unsuited(found, draft.objective);
  return html`
    <section class="card">
      <h2>1. Data</h2>
      <${FileField} id="training" label="Training file" value=${draft.training_file} files=${files} onChange=${(/** @type {string} */ id) => change({ training_file: id })} />
      <${DropZone} label="a training file" onUploaded=${take('training_file')} />
      ${draft.training_file !== '' && html`<${Findings} id=${draft.training_file} problemOf=${problemOf} />`}
      ${
        isValidating
          ? html`
            <${FileField} id="validation" label="Validation file" value=${draft.validation_file} files=${files} onChange=${(/** @type {string} */ id) => change({ validation_file: id })} />
            <${DropZone} label="a validation file" onUploaded=${take('validation_file')} />
            ${draft.validation_file !== '' && html`<${Findings} id=${draft.validation_file} problemOf=${problemOf} />`}`
          : html`<div><button type="button" onClick=${() => setValidating(true)}>Add a validation file</button> <span class="small quiet">Shows whether the model learns more than the file by heart.</span></div>`
      }
    </section>`;
}

/** @param {{ id: string, label: string, none?: string, value: string, files: StoredFile[], onChange: (id: string) => void }} props `none`: what it means that none is chosen */
export const FileField = ({ id, label, none = 'Choose one …', value, files, onChange }) => html`
  <div class="field">
    <label for=${id}>${label}</label>
    <select id=${id} value=${value} onChange=${(/** @type {any} */ { currentTarget }) => onChange(currentTarget.value)}>
      <option value="">${files.length === 0 ? 'None uploaded yet' : none}</option>
      ${value !== '' && !files.some((file) => file.id === value) && html`<option value=${value}>${value}</option>`}
      ${files.map((file) => html`<option value=${file.id}>${file.filename} (${bytes(file.bytes)})</option>`)}
    </select>
  </div>`;
