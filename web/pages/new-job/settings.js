import { useState } from 'preact/hooks';
import { fieldsOf, hyperparameterFields } from '../../lib/draft.js';
import { MAIN_FIELDS, METHODS, MORE_FIELDS, OBJECTIVES, PRESETS } from '../../lib/fields.js';
import { html } from '../../lib/html.js';
import { AreaField, SelectField, TextField } from '../../parts/field.js';
import { refusalOf } from '../../parts/refused.js';

/** @typedef {import('../../lib/draft.js').Draft} Draft */
/** @typedef {import('../../lib/fields.js').Field} Field */
/** @typedef {import('../../lib/fields.js').Kind} Kind */
/** @typedef {{ draft: Draft, change: (change: Partial<Draft>) => void, refused: import('../../parts/refused.js').Refused | null }} Props */

/** One setting, by what it takes. @param {{ field: Field, id: string, value: string, problem?: string, onInput: (value: string) => void }} props */
export function Setting({ field: { label, hint, placeholder = 'auto', options, isList, isLines, isJson, isText, initial }, ...props }) {
  const shown = { ...props, label, hint };
  if (isJson || isLines) return html`<${AreaField} ...${shown} rows=${3} isCode=${isJson} />`;
  if (options === undefined) return html`<${TextField} ...${shown} placeholder=${isText ? '' : placeholder} isNumber=${!isList && !isText} />`;
  const choices = options.map((option) => /** @type {const} */ ([option, option.replaceAll('_', ' ')]));
  return html`<${SelectField} ...${shown} options=${initial === undefined ? [['', 'auto'], ...choices] : choices} />`;
}

/** Kinds to choose from; one that is not known here is that of a copied job. @param {{ name: string, label: string, kinds: readonly Kind[], value: string, onChoose: (type: string) => void }} props */
export function Choices({ name, label, kinds, value, onChoose }) {
  const known = kinds.some(({ type }) => type === value)
    ? kinds
    : [...kinds, { type: value, label: value, hint: 'As the job that is copied has it.' }];
  return html`
    <div class="choices" role="radiogroup" aria-label=${label}>
      ${known.map(
        ({ type, label: title, hint }) => html`
          <label class="choice">
            <input type="radio" name=${name} value=${type} checked=${value === type} onChange=${() => onChoose(type)} />
            <strong>${title}</strong><small>${hint}</small>
          </label>`,
      )}
    </div>`;
}

/** @param {Props} props */
export function MethodFields({ draft, change, refused }) {
  const { objective, type, tuning, hyperparameters } = draft;
  /** Settings of the same name mean something else to another objective. @param {string} chosen */
  const chooseObjective = (chosen) => {
    const kept = Object.entries(hyperparameters).filter(([name]) => !fieldsOf(OBJECTIVES, objective).some((field) => field.name === name));
    change({ objective: chosen, hyperparameters: Object.fromEntries(kept) });
  };
  const fields = fieldsOf(METHODS, type);
  return html`
    <fieldset class="card">
      <h2 class="as-legend">3. Method</h2>
      <${Choices} name="tuning" label="Method" kinds=${METHODS} value=${type} onChoose=${(/** @type {string} */ type) => change({ type })} />
      ${
        fields.length > 0 &&
        html`
        <div class="fields">
          ${fields.map((field) => html`<${Setting} key=${field.name} id=${field.name} field=${field} value=${tuning[field.name] ?? ''} problem=${refusalOf(refused, field.name)} onInput=${(/** @type {string} */ value) => change({ tuning: { ...tuning, [field.name]: value } })} />`)}
        </div>`
      }
      <h3>Objective</h3>
      <${Choices} name="objective" label="Objective" kinds=${OBJECTIVES} value=${objective} onChoose=${chooseObjective} />
    </fieldset>`;
}

/** @param {Props} props */
export function SettingFields({ draft, change, refused }) {
  const [preset, setPreset] = useState('auto');
  const { hyperparameters, beside } = draft;
  const shared = [...MAIN_FIELDS, ...MORE_FIELDS];
  const ofObjective = hyperparameterFields(draft.objective).filter((field) => !shared.includes(field));
  const hyperparameter = (/** @type {Field} */ field) => html`
    <${Setting} key=${field.name} id=${field.name} field=${field} value=${hyperparameters[field.name] ?? ''} problem=${refusalOf(refused, field.name)}
      onInput=${(/** @type {string} */ value) => change({ hyperparameters: { ...hyperparameters, [field.name]: value } })} />`;
  const own = (/** @type {Field} */ field) => html`
    <${Setting} id=${field.name} field=${field} value=${beside[field.name] ?? ''} problem=${refusalOf(refused, field.name)}
      onInput=${(/** @type {string} */ value) => change({ beside: { ...beside, [field.name]: value } })} />`;
  return html`
    <section class="card">
      <h2>4. Settings</h2>
      <div class="choices" role="radiogroup" aria-label="Preset">
        ${PRESETS.map(
          ({ name, label, hint, hyperparameters, r }) => html`
            <label class="choice">
              <input type="radio" name="preset" value=${name} checked=${preset === name} onChange=${() => {
                setPreset(name);
                change({ hyperparameters, tuning: { ...draft.tuning, r } });
              }} />
              <strong>${label}</strong><small>${hint}</small>
            </label>`,
        )}
      </div>
      <div class="fields">
        ${[...MAIN_FIELDS, ...ofObjective].map(hyperparameter)}
        ${own({ name: 'suffix', label: 'Name', hint: 'Part of the tuned model’s name.', isText: true })}
      </div>
      <details open=${[...MORE_FIELDS.map(({ name }) => name), 'seed', 'priority', 'chat_template_kwargs'].some((name) => refusalOf(refused, name) !== '')}>
        <summary>More settings</summary>
        <div class="fields">
          ${MORE_FIELDS.map(hyperparameter)}
          ${own({ name: 'seed', label: 'Seed', hint: 'The same seed gives the same adapter.', placeholder: 'random' })}
          ${own({ name: 'priority', label: 'Priority', hint: '-10 to 10; higher goes first.', placeholder: '0' })}
          <${AreaField} id="chat_template_kwargs" label="Variables of the chat template" hint='As JSON: {"enable_thinking": false}' isCode value=${draft.chat_template_kwargs}
            problem=${refusalOf(refused, 'chat_template_kwargs')} onInput=${(/** @type {string} */ value) => change({ chat_template_kwargs: value })} />
        </div>
      </details>
    </section>`;
}
