import { useState } from 'preact/hooks';
import { get } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { ago, duration } from '../lib/format.js';
import { html } from '../lib/html.js';
import { link } from '../lib/route.js';
import { Head } from '../parts/shell.js';
import { Empty, Resource } from '../parts/state.js';
import { hasEnded, jobName, Progress, Status } from '../parts/status.js';

/** @typedef {import('../api/types.d.ts').Job} Job */
/** @typedef {import('../api/types.d.ts').List<Job>} JobList */

const PAGE = 50;
const POLL_MS = 3_000;
/** The list says nothing of the queue; it is asked for these few alone. */
const PLACES_SHOWN = 5;

/** @param {Job} job */
const isWaiting = ({ status }) => status === 'queued' || status === 'validating_files';

/** @param {number} limit @param {AbortSignal} signal @returns {Promise<JobList>} */
async function loadJobs(limit, signal) {
  /** @type {Job[]} */
  const jobs = [];
  let hasMore = true;
  while (jobs.length < limit && hasMore) {
    const after = jobs.length > 0 ? `&after=${jobs.at(-1)?.id}` : '';
    const page = /** @type {JobList} */ (await get(`/fine_tuning/jobs?limit=${PAGE}${after}`, { signal }));
    jobs.push(...page.data);
    hasMore = page.has_more;
  }
  const waiting = jobs.filter(isWaiting).slice(-PLACES_SHOWN);
  const placed = new Map(
    await Promise.all(
      waiting.map(async ({ id }) => /** @type {const} */ ([id, /** @type {Job} */ (await get(`/fine_tuning/jobs/${id}`, { signal }))])),
    ),
  );
  return { object: 'list', data: jobs.map((job) => placed.get(job.id) ?? job), has_more: hasMore };
}

export function JobsPage() {
  const [limit, setLimit] = useState(PAGE);
  const [text, setText] = useState('');
  const [chosen, setChosen] = useState(/** @type {string[]} */ ([]));
  const jobs = useResource((signal) => loadJobs(limit, signal), [limit], { everyMs: POLL_MS });

  /** @param {string} id */
  const toggle = (id) => setChosen(chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id]);
  /** @param {Job} job */
  const matches = (job) => [job.id, job.suffix, job.model, job.status].some((field) => field?.toLowerCase().includes(text.toLowerCase()));

  return html`
    <${Head} title="Jobs">
      ${chosen.length > 1 && html`<a class="button" href=${`#/compare?jobs=${chosen.join(',')}`}>Compare ${chosen.length} jobs</a>`}
      <a class="button primary" href=${link('new')}>New job</a>
    <//>
    <${Resource} of=${jobs}>
      ${(/** @type {JobList} */ { data, has_more: hasMore }) =>
        data.length === 0
          ? html`
              <${Empty} title="No jobs yet">
                <p>Upload a file of examples, choose a model, and watch it learn. A few dozen examples are enough to see the loss fall.</p>
                <a class="button primary" href=${link('new')}>Create the first job</a>
              <//>`
          : html`
              <div class="row">
                <div class="field">
                  <label class="unseen" for="filter">Filter the jobs</label>
                  <input id="filter" size="28" type="search" placeholder="Filter by name, model or state" value=${text}
                    onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
                </div>
                <span class="small quiet" role="status">${countText(data)}</span>
              </div>
              <div class="table-box">
                <table class="cards are-chosen">
                  <caption class="unseen">Fine-tuning jobs, newest first</caption>
                  <thead>
                    <tr>
                      <th scope="col"><span class="unseen">Choose for comparison</span></th>
                      <th scope="col">Job</th>
                      <th scope="col">State</th>
                      <th scope="col">Progress</th>
                      <th scope="col">Created</th>
                    </tr>
                  </thead>
                  <tbody>
                    ${data.filter(matches).map((job) => html`<${Row} key=${job.id} job=${job} isChosen=${chosen.includes(job.id)} onToggle=${toggle} />`)}
                  </tbody>
                </table>
              </div>
              ${!data.some(matches) && html`<p class="quiet">No job matches “${text}”.</p>`}
              ${hasMore && html`<div><button type="button" onClick=${() => setLimit(limit + PAGE)}>Show older jobs</button></div>`}`}
    <//>`;
}

/** @param {Job[]} jobs */
function countText(jobs) {
  const running = jobs.filter(({ status }) => status === 'running').length;
  const waiting = jobs.filter(isWaiting).length;
  return `${running} running, ${waiting} waiting`;
}

/** @param {{ job: Job, isChosen: boolean, onToggle: (id: string) => void }} props */
function Row({ job, isChosen, onToggle }) {
  const name = jobName(job);
  return html`
    <tr>
      <td><label class="check"><input type="checkbox" checked=${isChosen} onChange=${() => onToggle(job.id)} /><span class="unseen">Compare ${name}</span></label></td>
      <th scope="row" class="wide">
        <span class="job-name">
          <a href=${link('jobs', job.id)}>${name}</a>
          <span class="small quiet wrap">${job.suffix === null ? job.id : `${job.model} · ${job.tuning.type}`}</span>
        </span>
      </th>
      <td><${Status} status=${job.status} /></td>
      <td class="wide">${hasEnded(job) ? html`<span class="small quiet wrap">${outcome(job)}</span>` : html`<${Progress} job=${job} />`}</td>
      <td class="small quiet">${ago(job.created_at)}</td>
    </tr>`;
}

/** @param {Job} job */
function outcome(job) {
  if (job.error?.message) return job.error.message;
  const took = job.finished_at === null ? '' : `after ${duration(job.finished_at - job.created_at)}`;
  return [job.total_steps === null ? '' : `${job.total_steps} steps`, took].filter(Boolean).join(' ');
}
