import { get } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { ago, short } from '../lib/format.js';
import { html } from '../lib/html.js';
import { link } from '../lib/route.js';
import { fieldName, sweepName } from '../lib/sweeps.js';
import { Head } from '../parts/shell.js';
import { Empty, Resource } from '../parts/state.js';
import { Status } from '../parts/status.js';

/** @typedef {import('../api/types.d.ts').Sweep} Sweep */
/** @typedef {import('../api/types.d.ts').List<Sweep>} SweepList */

const SHOWN = 100;
const POLL_MS = 5_000;

export function SweepsPage() {
  const sweeps = useResource((signal) => /** @type {Promise<SweepList>} */ (get(`/fine_tuning/sweeps?limit=${SHOWN}`, { signal })), [], {
    everyMs: POLL_MS,
  });
  return html`
    <${Head} title="Sweeps" note="The same job with different settings: which of them is the best?"><a class="button primary" href=${link('sweeps', 'new')}>New sweep</a><//>
    <${Resource} of=${sweeps} rows=${2}>
      ${(/** @type {SweepList} */ { data, has_more: hasMore }) =>
        data.length === 0
          ? html`<${Empty} title="No sweeps yet"><p>Choose a job and what its copies differ in, and this page shows how they go.</p><//>`
          : html`
              <div class="table-box">
                <table class="cards">
                  <caption class="unseen">Sweeps, newest first</caption>
                  <thead><tr>${['Sweep', 'State', 'Jobs', 'Best', 'Created'].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
                  <tbody>${data.map((sweep) => html`<${Row} key=${sweep.id} sweep=${sweep} />`)}</tbody>
                </table>
              </div>
              ${hasMore && html`<p class="quiet">The newest ${SHOWN}.</p>`}`}
    <//>`;
}

/** @param {{ sweep: Sweep }} props */
const Row = ({ sweep }) => html`
  <tr>
    <th scope="row" class="wide">
      <span class="job-name">
        <a href=${link('sweeps', sweep.id)}>${sweepName(sweep)}</a>
        <span class="small quiet wrap">${sweep.search.strategy.replaceAll('_', ' ')} · ${Object.keys(sweep.search.parameters).map(fieldName).join(', ')}</span>
      </span>
    </th>
    <td><${Status} status=${sweep.status} /></td>
    <td class="number">${sweep.jobs.ended} of ${sweep.jobs.total} have ended</td>
    <td class="number">${sweep.winner === null ? '–' : short(sweep.winner.value)}</td>
    <td class="small quiet">${ago(sweep.created_at)}</td>
  </tr>`;
