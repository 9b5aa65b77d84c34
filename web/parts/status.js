import { duration, number } from '../lib/format.js';
import { html } from '../lib/html.js';

/** @typedef {import('../api/types.d.ts').Job} Job */

const NAMES = /** @type {Record<string, string>} */ ({ validating_files: 'reading files', uploaded: 'being read', processed: 'ready' });

/** @param {{ status: string }} props */
export const Status = ({ status }) => html`<span class="pill is-${status}">${NAMES[status] ?? status}</span>`;

/** @param {Job} job */
export const hasEnded = ({ status }) => status === 'succeeded' || status === 'failed' || status === 'cancelled';

/** Steps, and how long it will take. @param {{ job: Job }} props */
export function Progress({ job }) {
  const { step, total_steps: total } = job;
  return html`
    <div class="job-progress">
      ${total !== null && html`<progress max=${total} value=${step ?? 0} aria-label="Progress"></progress>`}
      <span class="small quiet number">${progressText(job)}</span>
    </div>`;
}

/** @param {Job} job */
function progressText(job) {
  const { step, total_steps: total, estimated_finish: finish, queue_position: position } = job;
  const steps = total === null ? '' : `step ${number(step ?? 0)} of ${number(total)}`;
  const left = finish === null || job.status !== 'running' ? '' : `${duration(finish - Date.now() / 1000)} left`;
  const place = position == null ? '' : position === 1 ? 'next in the queue' : `number ${position} in the queue`;
  const waits = job.waiting_for === null ? '' : `waits for the ${job.waiting_for.replaceAll('_', ' ')}`;
  return [steps, left, place, waits].filter((text) => text !== '').join(' · ') || (hasEnded(job) ? 'no steps' : 'not begun');
}

/** @param {Job} job */
export const jobName = ({ suffix, model, dry_run: isDry }) => `${isDry ? 'Dry run: ' : ''}${suffix ?? model}`;
