import { useState } from 'preact/hooks';
import { MAIN_FIELDS, MORE_FIELDS, PRESETS } from '../../lib/draft.js';
import { html } from '../../lib/html.js';

/** @typedef {import('../../lib/draft.js').Draft} Draft */
/** @typedef {{ draft: Draft, change: (change: Partial<Draft>) => void }} Props */

/** @param {{ id: string, label: string, hint?: string, value: string, placeholder?: string, isNumber?: boolean, isWrong?: boolean, onInput: (value: string) => void }} props */
const TextField = ({ id, label, hint, value, placeholder, isNumber = false, isWrong = false, onInput }) => html`
  <div class="field">
    <label for=${id}>${label}</label>
    <input id=${id} value=${value} placeholder=${placeholder ?? ''} inputmode=${isNumber ? 'decimal' : 'text'} spellcheck="false" autocomplete="off"
      aria-invalid=${isWrong} aria-describedby=${hint ? `${id}-hint` : null} onInput=${(/** @type {any} */ { currentTarget }) => onInput(currentTarget.value)} />
    ${hint && html`<span class="hint" id=${`${id}-hint`}>${hint}</span>`}
  </div>`;

/** @param {Props} props */
export function MethodFields({ draft, change }) {
  const choice = (/** @type {string} */ type, /** @type {string} */ label, /** @type {string} */ hint) => html`
    <label class="choice">
      <input type="radio" name="tuning" value=${type} checked=${draft.type === type} onChange=${() => change({ type })} />
      <strong>${label}</strong><small>${hint}</small>
    </label>`;
  return html`
    <fieldset class="card">
      <h2 class="as-legend">3. Method</h2>
      <div class="choices" role="radiogroup" aria-label="Method">
        ${choice('lora', 'LoRA', 'Trains a small adapter beside the model. A file of megabytes.')}
        ${choice('full', 'Full', 'Trains every weight. More memory; the result is a whole model.')}
      </div>
      ${
        draft.type === 'lora' &&
        html`
        <div class="fields">
          <${TextField} id="r" label="Rank (r)" hint="1 to 256." isNumber value=${draft.r} placeholder="16" onInput=${(/** @type {string} */ r) => change({ r })} />
          <${TextField} id="alpha" label="Alpha" hint="The update is scaled by alpha / r." isNumber value=${draft.lora_alpha} placeholder="2 × r" onInput=${(/** @type {string} */ value) => change({ lora_alpha: value })} />
          <${TextField} id="dropout" label="Dropout" isNumber value=${draft.lora_dropout} placeholder="0" onInput=${(/** @type {string} */ value) => change({ lora_dropout: value })} />
          <${TextField} id="targets" label="Layers" hint="Such as q_proj, v_proj." value=${draft.target_modules} placeholder="all linear" onInput=${(/** @type {string} */ value) => change({ target_modules: value })} />
        </div>`
      }
    </fieldset>`;
}

/** @param {Props & { param: string | null }} props what a refusal named */
export function SettingFields({ draft, change, param }) {
  const [preset, setPreset] = useState('auto');
  const isWrong = (/** @type {string} */ name) => param?.split('.').at(-1) === name;
  /** @param {string} name @param {string} value */
  const set = (name, value) => change({ hyperparameters: { ...draft.hyperparameters, [name]: value } });
  const field = (/** @type {import('../../lib/draft.js').Field} */ { name, label, hint, options }) => {
    const value = draft.hyperparameters[name] ?? '';
    if (options === undefined)
      return html`<${TextField} id=${name} label=${label} hint=${hint} isNumber value=${value} placeholder="auto" isWrong=${isWrong(name)} onInput=${(/** @type {string} */ text) => set(name, text)} />`;
    return html`
      <div class="field">
        <label for=${name}>${label}</label>
        <select id=${name} value=${value} onChange=${(/** @type {any} */ { currentTarget }) => set(name, currentTarget.value)}>
          <option value="">auto</option>${options.map((option) => html`<option value=${option}>${option.replaceAll('_', ' ')}</option>`)}
        </select>
        <span class="hint">${hint}</span>
      </div>`;
  };
  return html`
    <section class="card">
      <h2>4. Settings</h2>
      <div class="choices" role="radiogroup" aria-label="Preset">
        ${PRESETS.map(
          ({ name, label, hint, hyperparameters, r }) => html`
            <label class="choice">
              <input type="radio" name="preset" value=${name} checked=${preset === name} onChange=${() => {
                setPreset(name);
                change({ hyperparameters, r });
              }} />
              <strong>${label}</strong><small>${hint}</small>
            </label>`,
        )}
      </div>
      <div class="fields">
        ${MAIN_FIELDS.map(field)}
        <${TextField} id="suffix" label="Name" hint="Part of the tuned model’s name." value=${draft.suffix} placeholder="support" isWrong=${isWrong('suffix')} onInput=${(/** @type {string} */ suffix) => change({ suffix })} />
      </div>
      <details>
        <summary>More settings</summary>
        <div class="fields">
          ${MORE_FIELDS.map(field)}
          <${TextField} id="seed" label="Seed" hint="The same seed gives the same adapter." isNumber value=${draft.seed} placeholder="random" isWrong=${isWrong('seed')} onInput=${(/** @type {string} */ seed) => change({ seed })} />
          <${TextField} id="priority" label="Priority" hint="-10 to 10; higher goes first." isNumber value=${draft.priority} placeholder="0" isWrong=${isWrong('priority')} onInput=${(/** @type {string} */ priority) => change({ priority })} />
        </div>
      </details>
    </section>`;
}
