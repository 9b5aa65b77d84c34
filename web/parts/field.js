import { html } from '../lib/html.js';

/**
 * A labelled field with its hint, or with what is wrong with it.
 * @typedef {{ id: string, label: string, hint?: string | undefined, value: string, problem?: string, onInput: (value: string) => void }} FieldProps
 */

/** @param {FieldProps & { placeholder?: string | undefined, isNumber?: boolean }} props */
export const TextField = ({ placeholder, isNumber = false, ...props }) => html`
  <${Labelled} ...${props}>
    <input ...${attributes(props)} placeholder=${placeholder ?? ''} inputmode=${isNumber ? 'decimal' : 'text'} spellcheck=${false} autocomplete="off" />
  <//>`;

/** @param {FieldProps & { rows?: number, isCode?: boolean, placeholder?: string | undefined }} props */
export const AreaField = ({ rows = 2, isCode = false, placeholder, ...props }) => html`
  <${Labelled} ...${props}>
    <textarea ...${attributes(props)} rows=${rows} placeholder=${placeholder ?? ''} spellcheck=${!isCode} class=${isCode ? 'mono' : ''}></textarea>
  <//>`;

/** @param {FieldProps & { options: readonly (readonly [value: string, label: string])[] }} props */
export const SelectField = ({ options, ...props }) => html`
  <${Labelled} ...${props}>
    <select ...${attributes(props)}>${options.map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select>
  <//>`;

/** @param {FieldProps & { children?: any }} props */
const Labelled = ({ id, label, hint, problem = '', children }) => html`
  <div class="field">
    <label for=${id}>${label}</label>
    ${children}
    ${problem !== '' ? html`<span class="problem" id=${`${id}-hint`}>${problem}</span>` : hint && html`<span class="hint" id=${`${id}-hint`}>${hint}</span>`}
  </div>`;

/** @param {FieldProps} props */
const attributes = ({ id, hint, value, problem = '', onInput }) => ({
  id,
  value,
  'aria-invalid': problem !== '',
  'aria-describedby': hint || problem !== '' ? `${id}-hint` : null,
  onInput: (/** @type {any} */ { currentTarget }) => onInput(currentTarget.value),
});
