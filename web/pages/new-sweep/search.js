import { fieldsOf } from '../../lib/draft.js';
import { html } from '../../lib/html.js';
import { hasBudget, metricsOf, STRATEGIES } from '../../lib/search.js';
import { SelectField, TextField } from '../../parts/field.js';
import { refusalAt } from '../../parts/refused.js';
import { Choices, Setting } from '../new-job/settings.js';

/** @typedef {import('../../lib/draft.js').Draft} Draft */
/** @typedef {import('../../lib/search.js').Search} Search */

const BUDGETS = /** @type {const} */ ([
  ['steps', 'Steps'],
  ['tokens', 'Tokens'],
]);
const MODES = /** @type {const} */ ([
  ['', 'auto'],
  ['min', 'the lowest'],
  ['max', 'the highest'],
]);

/** @param {{ draft: Draft, search: Search, change: (change: Partial<Search>) => void, refused: import('../../parts/refused.js').Refused | null }} props */
export function SearchFields({ draft, search, change, refused }) {
  const { name, strategy, numbers, budgetOf, budget, metric, mode } = search;
  const metrics = metricsOf(draft);
  const left = metrics.some(([known]) => known === metric) ? [] : [[metric, metric]];
  return html`
    <fieldset class="card">
      <h2 class="as-legend">7. Search</h2>
      <${Choices} name="strategy" label="Search" kinds=${STRATEGIES} value=${strategy} onChoose=${(/** @type {string} */ strategy) => change({ strategy })} />
      <div class="fields">
        ${fieldsOf(STRATEGIES, strategy).map(
          (field) => html`
          <${Setting} key=${field.name} id=${`search-${field.name}`} field=${field} value=${numbers[field.name] ?? ''} problem=${refusalAt(refused, `search.${field.name}`)}
            onInput=${(/** @type {string} */ value) => change({ numbers: { ...numbers, [field.name]: value } })} />`,
        )}
        <${SelectField} id="metric" label="Compared by" hint="Validation needs a validation file." value=${metric} options=${[...metrics, ...left]} problem=${refusalAt(refused, 'metric')} onInput=${(/** @type {string} */ metric) => change({ metric })} />
        <${SelectField} id="mode" label="The best is" hint="auto: the lowest loss, the highest of all else." value=${mode} options=${MODES} problem=${refusalAt(refused, 'mode')} onInput=${(/** @type {string} */ mode) => change({ mode })} />
        ${
          hasBudget(search) &&
          html`
          <${TextField} id="budget" label="Budget" hint="Of all jobs together; none begins once it is used up." placeholder="none" isNumber value=${budget} problem=${refusalAt(refused, 'budget')} onInput=${(/** @type {string} */ budget) => change({ budget })} />
          <${SelectField} id="budget-of" label="Budget in" value=${budgetOf} options=${BUDGETS} onInput=${(/** @type {string} */ budgetOf) => change({ budgetOf })} />`
        }
        <${TextField} id="sweep-name" label="Name of the sweep" hint="For you to recognise it by." value=${name} problem=${refusalAt(refused, 'name')} onInput=${(/** @type {string} */ name) => change({ name })} />
      </div>
    </fieldset>`;
}
