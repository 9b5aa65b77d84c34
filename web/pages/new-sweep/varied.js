import { html } from '../../lib/html.js';
import { fieldOf, isByLine, nextVaried, OTHER, pathOf, variable, variedOf } from '../../lib/search.js';
import { AreaField, SelectField, TextField } from '../../parts/field.js';
import { Remove, useList } from '../../parts/list.js';
import { refusalAt } from '../../parts/refused.js';

/** @typedef {import('../../lib/draft.js').Draft} Draft */
/** @typedef {import('../../lib/search.js').Search} Search */
/** @typedef {import('../../lib/search.js').Varied} Varied */
/** @typedef {import('../../parts/refused.js').Refused} Refused */

/** As the API takes them. */
const MOST = 20;

/** @param {{ draft: Draft, search: Search, change: (change: Partial<Search>) => void, refused: Refused | null }} props */
export function VariedFields({ draft, search, change, refused }) {
  const { box, add, set, remove } = useList(search.varied, (varied) => change({ varied }));
  const inAll = refused?.param === 'search.parameters' ? refused.message : '';
  return html`
    <section class="card">
      <h2>6. What the jobs differ in</h2>
      <p class="small quiet">Each of these fields takes the place of what is chosen above.</p>
      <div class="stack" ref=${box}>
        ${search.varied.map(
          (varied, index) => html`
          <${VariedField} key=${index} draft=${draft} varied=${varied} index=${index} isGrid=${search.strategy === 'grid'} refused=${refused}
            onChange=${(/** @type {Varied} */ next) => set(index, next)} onRemove=${() => remove(index)} />`,
        )}
        ${inAll !== '' && html`<p class="problem">${inAll}</p>`}
        <div><button type="button" class="add" disabled=${search.varied.length >= MOST} onClick=${() => add(nextVaried(draft, search))}>Add a field</button></div>
      </div>
    </section>`;
}

/**
 * @typedef {{
 *   draft: Draft, varied: Varied, index: number, isGrid: boolean, refused: Refused | null,
 *   onChange: (varied: Varied) => void, onRemove: () => void,
 * }} Props
 */

/** @param {Props} props */
function VariedField({ draft, varied, index, isGrid, refused, onChange, onRemove }) {
  const { chosen, path, isRange } = varied;
  const field = fieldOf(draft, varied);
  const problem = refusalAt(refused, `search.parameters.${pathOf(varied)}`);
  const offered = variable(draft).map(({ path, field: { label } }) => /** @type {const} */ ([path, label]));
  // The method may have been changed since the field was chosen.
  const left = field === null && chosen !== OTHER ? [[chosen, chosen]] : [];
  const id = `varied-${index}`;
  return html`
    <fieldset class="part">
      <legend>Field ${index + 1}</legend>
      <div class="fields">
        <${SelectField} id=${id} label="Field" value=${chosen} options=${[...offered, ...left, [OTHER, 'Another, by its path']]} onInput=${(/** @type {string} */ next) => onChange(variedOf(draft, next))} />
        ${chosen === OTHER && html`<${TextField} id=${`${id}-path`} label="Its path" hint="Such as tuning.use_dora, or tuning as a whole." value=${path} onInput=${(/** @type {string} */ next) => onChange({ ...varied, path: next })} />`}
      </div>
      ${
        (!isGrid || isRange) &&
        html`
        <div class="segments" role="group" aria-label=${`How the values of field ${index + 1} are given`}>
          <button type="button" aria-pressed=${!isRange} onClick=${() => onChange({ ...varied, isRange: false })}>List</button>
          <button type="button" aria-pressed=${isRange} onClick=${() => onChange({ ...varied, isRange: true })}>Range</button>
        </div>`
      }
      ${isRange ? html`<${Range} id=${id} varied=${varied} problem=${problem} onChange=${onChange} />` : html`<${Values} id=${id} field=${field} varied=${varied} problem=${problem} onChange=${onChange} />`}
      <${Remove} what=${`field ${index + 1}`} onClick=${onRemove} />
    </fieldset>`;
}

/** @param {{ id: string, varied: Varied, problem: string, onChange: (varied: Varied) => void }} props */
const Range = ({ id, varied, problem, onChange }) => html`
  <div class="fields">
    <${TextField} id=${`${id}-min`} label="From" isNumber value=${varied.min} problem=${problem} onInput=${(/** @type {string} */ min) => onChange({ ...varied, min })} />
    <${TextField} id=${`${id}-max`} label="To" isNumber value=${varied.max} onInput=${(/** @type {string} */ max) => onChange({ ...varied, max })} />
  </div>
  <div class="row small">
    <label class="check"><input type="checkbox" checked=${varied.isLog} onChange=${() => onChange({ ...varied, isLog: !varied.isLog })} /> Evenly in the logarithm</label>
    <label class="check"><input type="checkbox" checked=${varied.isInteger} onChange=${() => onChange({ ...varied, isInteger: !varied.isInteger })} /> Whole numbers</label>
  </div>`;

/** @param {{ id: string, field: import('../../lib/fields.js').Field | null, varied: Varied, problem: string, onChange: (varied: Varied) => void }} props */
function Values({ id, field, varied, problem, onChange }) {
  const shown = {
    id: `${id}-values`,
    label: 'Values',
    value: varied.values,
    problem,
    onInput: (/** @type {string} */ values) => onChange({ ...varied, values }),
  };
  if (field?.options !== undefined) return html`<${Options} options=${field.options} ...${shown} />`;
  if (isByLine(field))
    return html`<${AreaField} ...${shown} rows=${3} isCode=${field === null} hint=${field === null ? 'One a line: JSON, or a text.' : 'One a line.'} />`;
  return html`<${TextField} ...${shown} isNumber hint="With commas between them." placeholder=${field?.drawn === 'log' ? '1e-4, 5e-4' : ''} />`;
}

/** @param {{ id: string, label: string, value: string, problem: string, options: readonly string[], onInput: (values: string) => void }} props */
function Options({ id, label, value, problem, options, onInput }) {
  const chosen = value.split(/[\s,]+/);
  /** @param {string} option */
  const toggle = (option) => onInput(options.filter((known) => chosen.includes(known) !== (known === option)).join(', '));
  return html`
    <div class="field" role="group" aria-label=${label} aria-describedby=${problem === '' ? null : `${id}-hint`}>
      <div class="row">
        ${options.map((option) => html`<label class="check" key=${option}><input type="checkbox" checked=${chosen.includes(option)} onChange=${() => toggle(option)} /> ${option.replaceAll('_', ' ')}</label>`)}
      </div>
      ${problem !== '' && html`<span class="problem" id=${`${id}-hint`}>${problem}</span>`}
    </div>`;
}
