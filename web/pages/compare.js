import { useState } from 'preact/hooks';
import { get } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { titleOf } from '../lib/curves.js';
import { html } from '../lib/html.js';
import { go, link } from '../lib/route.js';
import { Head } from '../parts/shell.js';
import { Empty, Resource } from '../parts/state.js';
import { jobName, Status } from '../parts/status.js';
import { MOST, Overlay, useRuns } from './compare/overlay.js';

/** @typedef {import('../api/types.d.ts').Job} Job */
/** @typedef {import('../api/types.d.ts').StepMetrics} StepMetrics */
/** @typedef {import('./compare/overlay.js').Run} Run */

const OFFERED = 50;
const FIRST_METRICS = ['train_loss', 'full_valid_loss'];

/** @param {{ ids: string[] }} props */
export function ComparePage({ ids }) {
  const offered = useResource(
    (signal) => /** @type {Promise<import('../api/types.d.ts').List<Job>>} */ (get(`/fine_tuning/jobs?limit=${OFFERED}&dry_run=false`, { signal })),
    [],
  );
  const runs = useRuns(ids);
  /** @param {string} id */
  const toggle = (id) => go(`#/compare?jobs=${(ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id]).join(',')}`);
  return html`
    <${Head} title="Compare" note="Several jobs in one plot, and what differs between them." />
    <${Resource} of=${offered} rows=${1}>
      ${(/** @type {import('../api/types.d.ts').List<Job>} */ { data }) => html`
        <details class="card-plain" open=${ids.length < 2}>
          <summary>Choose jobs (${ids.length} of at most ${MOST})</summary>
          <ul class="fields">
            ${data.map(
              (job) => html`
                <li><label class="check"><input type="checkbox" checked=${ids.includes(job.id)} disabled=${!ids.includes(job.id) && ids.length >= MOST} onChange=${() => toggle(job.id)} />
                  <span class="wrap">${jobName(job)} <span class="small quiet">${job.id.slice(-6)}</span></span></label></li>`,
            )}
          </ul>
          ${data.length === 0 && html`<p class="quiet">There are no jobs yet.</p>`}
        </details>`}
    <//>
    <${Resource} of=${runs}>
      ${(/** @type {Run[]} */ read) => (read.length === 0 ? html`<${Empty} title="Nothing to compare yet"><p>Choose two jobs or more.</p><//>` : html`<${Comparison} runs=${read} />`)}
    <//>`;
}

/** Names may be the same; the end of an id is not. @param {Job} job */
const labelOf = (job) => `${jobName(job)} (${job.id.slice(-4)})`;

/** @param {{ runs: Run[] }} props */
const Comparison = ({ runs }) => html`
  <${Overlay} runs=${runs.map(({ job, rows }) => ({ label: labelOf(job), rows }))} first=${FIRST_METRICS} />
  <${Differences} runs=${runs} />`;

/** @param {Job} job @returns {Record<string, string>} */
const fieldsOf = (job) => {
  const fields = {
    model: job.model,
    training_file: job.training_file,
    validation_file: job.validation_file,
    seed: job.seed,
    ...job.hyperparameters,
    ...job.tuning,
    ...job.metadata,
  };
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value === null ? '–' : typeof value === 'object' ? JSON.stringify(value) : String(value)]),
  );
};

/** @param {{ runs: Run[] }} props */
function Differences({ runs }) {
  const [withAll, setWithAll] = useState(false);
  const fields = runs.map(({ job }) => fieldsOf(job));
  const names = [...new Set(fields.flatMap(Object.keys))];
  const differs = (/** @type {string} */ name) => new Set(fields.map((of) => of[name])).size > 1;
  const rows = names.filter((name) => withAll || differs(name));
  return html`
    <section class="stack-tight">
      <div class="card-head"><h2>What differs</h2><label class="check small"><input type="checkbox" checked=${withAll} onChange=${() => setWithAll(!withAll)} /> Show what is the same, too</label></div>
      <div class="table-box" tabindex="0" role="region" aria-label="What differs">
        <table class="number">
          <thead><tr><th scope="col">Field</th>${runs.map(({ job }) => html`<th scope="col"><a href=${link('jobs', job.id)}>${labelOf(job)}</a></th>`)}</tr></thead>
          <tbody>
            <tr><th scope="row">state</th>${runs.map(({ job }) => html`<td><${Status} status=${job.status} /></td>`)}</tr>
            ${FIRST_METRICS.map((name) => html`<tr><th scope="row">${titleOf(name)}, last</th>${runs.map(({ rows: steps }) => html`<td>${lastOf(steps, name)}</td>`)}</tr>`)}
            ${rows.map((name) => html`<tr class=${withAll && differs(name) ? 'differs' : ''}><th scope="row">${name}</th>${fields.map((of) => html`<td class="wrap">${of[name] ?? '–'}</td>`)}</tr>`)}
          </tbody>
        </table>
      </div>
    </section>`;
}

/** @param {StepMetrics[]} rows @param {string} name */
const lastOf = (rows, name) => rows.findLast(({ metrics }) => name in metrics)?.metrics[name]?.toFixed(4) ?? '–';
