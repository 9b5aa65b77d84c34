import { useState } from 'preact/hooks';
import { bytes } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { unsuited } from '../../lib/suited.js';
import { DropZone, Findings } from '../../parts/dataset.js';
import { SelectField } from '../../parts/field.js';
import { refusalOf } from '../../parts/refused.js';

/** @typedef {import('../../api/types.d.ts').StoredFile} StoredFile */
/** @typedef {import('../../lib/draft.js').Draft} Draft */
/** @typedef {import('../../api/types.d.ts').FileValidation} FileValidation */

/**
 * @typedef {{
 *   draft: Draft, change: (change: Partial<Draft>) => void, files: StoredFile[], onUploaded: (file: StoredFile) => void,
 *   refused: import('../../parts/refused.js').Refused | null, validates?: boolean,
 * }} Props `validates`: there is a place for a validation file at first
 */

/** @param {Props} props */
export function DataFields({ draft, change, files, onUploaded, refused, validates = false }) {
  const [isValidating, setValidating] = useState(validates || draft.validation_file !== '');
  /** @param {'training_file' | 'validation_file'} name */
  const take = (name) => (/** @type {StoredFile} */ file) => {
    onUploaded(file);
    change({ [name]: file.id });
  };
  const problemOf = (/** @type {FileValidation} */ found) => unsuited(found, draft.objective);
  return html`
    <section class="card">
      <h2>1. Data</h2>
      <${FileField} id="training" label="Training file" value=${draft.training_file} files=${files} problem=${refusalOf(refused, 'training_file')} onChange=${(/** @type {string} */ id) => change({ training_file: id })} />
      <${DropZone} label="a training file" onUploaded=${take('training_file')} />
      ${draft.training_file !== '' && html`<${Findings} id=${draft.training_file} problemOf=${problemOf} />`}
      ${
        isValidating
          ? html`
            <${FileField} id="validation" label="Validation file" value=${draft.validation_file} files=${files} problem=${refusalOf(refused, 'validation_file')} onChange=${(/** @type {string} */ id) => change({ validation_file: id })} />
            <${DropZone} label="a validation file" onUploaded=${take('validation_file')} />
            ${draft.validation_file !== '' && html`<${Findings} id=${draft.validation_file} problemOf=${problemOf} />`}`
          : html`<div><button type="button" onClick=${() => setValidating(true)}>Add a validation file</button> <span class="small quiet">Shows whether the model learns more than the file by heart.</span></div>`
      }
    </section>`;
}

/**
 * @typedef {{
 *   id: string, label: string, none?: string, value: string, files: StoredFile[], problem?: string, onChange: (id: string) => void,
 * }} FileFieldProps `none`: what it means that none is chosen
 */

/** @param {FileFieldProps} props */
export function FileField({ none = 'Choose one …', files, onChange, ...props }) {
  const { value } = props;
  const options = [
    ['', files.length === 0 ? 'None uploaded yet' : none],
    ...(value !== '' && !files.some(({ id }) => id === value) ? [[value, value]] : []),
    ...files.map((file) => [file.id, `${file.filename} (${bytes(file.bytes)})`]),
  ];
  return html`<${SelectField} ...${props} options=${options} onInput=${onChange} />`;
}
