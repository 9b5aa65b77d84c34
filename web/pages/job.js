import { get } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { html } from '../lib/html.js';
import { link } from '../lib/route.js';
import { EventList } from '../parts/events.js';
import { Head } from '../parts/shell.js';
import { Resource } from '../parts/state.js';
import { hasEnded, jobName, Progress, Status } from '../parts/status.js';
import { Actions } from './job/actions.js';
import { Curves } from './job/curves.js';
import { DryRun } from './job/dry-run.js';
import { Events } from './job/events.js';
import { Facts } from './job/facts.js';
import { Lineage } from './job/lineage.js';
import { useLiveJob } from './job/live.js';
import { Proof } from './job/proof.js';
import { Receipt } from './job/receipt.js';
import { Results } from './job/results.js';
import { Samples } from './job/samples.js';

/** @typedef {import('../api/types.d.ts').Job} Job */

const POLL_MS = 2_000;
const NEWEST_EVENTS = 6;

const PARTS = /** @type {const} */ ([
  ['curves', 'Curves'],
  ['samples', 'Samples'],
  ['events', 'Events'],
  ['results', 'Checkpoints and files'],
  ['receipt', 'Receipt'],
  ['proof', 'Proof'],
  ['lineage', 'Lineage'],
]);

/** @param {{ id: string, part: string }} props */
export function JobPage({ id, part }) {
  const job = useResource((signal) => /** @type {Promise<Job>} */ (get(`/fine_tuning/jobs/${encodeURIComponent(id)}`, { signal })), [id], {
    everyMs: POLL_MS,
  });
  const { events, steps } = useLiveJob(id, job.reload);
  if (job.data === null) return html`<${Head} title="Job" note=${id} /><${Resource} of=${job}>${() => null}<//>`;
  const shown = job.data;
  return html`
    <${Head} title=${jobName(shown)} note=${html`<code class="wrap">${shown.id}</code>`}>
      <${Actions} job=${shown} onChange=${job.set} />
    <//>
    <section class="card" aria-label="State">
      <div class="row"><span role="status"><${Status} status=${shown.status} /></span>${!hasEnded(shown) && html`<${Progress} job=${shown} />`}</div>
      ${shown.error?.message && html`<p class="note is-error">${shown.error.message}</p>`}
      <${Facts} job=${shown} />
    </section>
    <nav class="tabs" aria-label="Parts of the job">
      <ul>
        ${PARTS.map(([name, label]) => html`<li><a href=${link('jobs', id, name)} aria-current=${name === part ? 'page' : null}>${label}</a></li>`)}
      </ul>
    </nav>
    ${partOf(part, { job: shown, events, steps })}`;
}

/** @param {string} part @param {{ job: Job, events: import('../api/types.d.ts').JobEvent[], steps: import('../api/types.d.ts').StepMetrics[] }} known */
function partOf(part, { job, events, steps }) {
  if (part === 'samples') return html`<${Samples} job=${job} />`;
  if (part === 'events') return html`<${Events} events=${events} />`;
  if (part === 'results') return html`<${Results} job=${job} />`;
  if (part === 'receipt') return html`<${Receipt} job=${job} />`;
  if (part === 'proof') return html`<${Proof} job=${job} />`;
  if (part === 'lineage') return html`<${Lineage} job=${job} />`;
  const newest = events.filter(({ type }) => type === 'message').slice(-NEWEST_EVENTS);
  return html`
    ${job.dry_run ? html`<${DryRun} job=${job} />` : html`<${Curves} job=${job} steps=${steps} />`}
    <section class="card" aria-labelledby="newest-title">
      <div class="card-head"><h2 id="newest-title">Newest events</h2><a class="small" href=${link('jobs', job.id, 'events')}>All events</a></div>
      <${EventList} events=${newest.toReversed()} />
    </section>`;
}
