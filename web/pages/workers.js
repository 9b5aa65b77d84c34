import { get } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { ago, bytes } from '../lib/format.js';
import { html } from '../lib/html.js';
import { link } from '../lib/route.js';
import { Code } from '../parts/code.js';
import { Head } from '../parts/shell.js';
import { Empty, Resource } from '../parts/state.js';

/** @typedef {import('../api/types.d.ts').Worker} Worker */
/** @typedef {import('../api/types.d.ts').List<Worker>} WorkerList */

const POLL_MS = 5_000;
/** It says every ten seconds that it is alive. */
const QUIET_AFTER_S = 25;

export function WorkersPage() {
  const workers = useResource((signal) => /** @type {Promise<WorkerList>} */ (get('/workers', { signal })), [], { everyMs: POLL_MS });
  return html`
    <${Head} title="Workers" note="The processes that train, and the machines that they are on." />
    <${Resource} of=${workers} rows=${2}>
      ${(/** @type {WorkerList} */ { data }) =>
        data.length === 0
          ? html`<${Empty} title="No worker is running"><p>Jobs wait until one is. Start one on any machine that reaches the database, Redis and the storage:</p><${Code} label="command to start a worker" text="npm run worker" /><//>`
          : html`<ul class="halves">${data.map((worker) => html`<${Card} key=${worker.id} worker=${worker} />`)}</ul>`}
    <//>`;
}

/** @param {{ worker: Worker }} props */
function Card({ worker }) {
  const isQuiet = Date.now() / 1000 - worker.last_seen_at > QUIET_AFTER_S;
  const status = isQuiet ? 'paused' : worker.running_jobs > 0 ? 'running' : 'succeeded';
  const label = isQuiet ? `silent since ${ago(worker.last_seen_at)}` : worker.running_jobs > 0 ? 'training' : 'idle';
  const others = worker.running_jobs - worker.jobs.length;
  return html`
    <li class="card">
      <div class="card-head"><h2 class="wrap">${worker.hostname}</h2><span class="pill is-${status}">${label}</span></div>
      <dl class="pairs">
        <dt>Trains on</dt><dd>${worker.device}</dd>
        <dt>Memory for training</dt><dd>${worker.memory_bytes === null ? "the GPU's" : bytes(worker.memory_bytes)}</dd>
        <dt>Running since</dt><dd>${ago(worker.started_at)}</dd>
        <dt>Jobs</dt><dd>${worker.jobs.map((id) => html`<a class="mono" href=${link('jobs', id)}>${id.slice(0, 14)}…</a> `)}${others > 0 ? `${others} of other projects` : worker.running_jobs === 0 ? 'none' : ''}</dd>
        <dt>Models</dt><dd>${worker.models.join(', ') || 'none'}</dd>
      </dl>
    </li>`;
}
