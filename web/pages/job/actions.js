import { useState } from 'preact/hooks';
import { post, remove } from '../../api/client.js';
import { announce } from '../../lib/announce.js';
import { html } from '../../lib/html.js';
import { go, link } from '../../lib/route.js';
import { Confirm } from '../../parts/confirm.js';

/** @typedef {import('../../api/types.d.ts').Job} Job */

/** What may be done to a job in a state; the service decides. */
const ACTIONS = /** @type {const} */ ([
  { name: 'pause', label: 'Pause', done: 'Paused', from: ['validating_files', 'queued', 'running'] },
  { name: 'resume', label: 'Resume', done: 'Resumed', from: ['paused', 'failed'] },
  { name: 'cancel', label: 'Cancel', done: 'Cancelled', from: ['validating_files', 'queued', 'running', 'paused'] },
]);

/** @param {{ job: Job, onChange: (job: Job) => void }} props */
export function Actions({ job, onChange }) {
  const [isBusy, setBusy] = useState(false);
  const [isDeleting, setDeleting] = useState(false);

  /** @param {() => Promise<void>} action */
  const doing = async (action) => {
    setBusy(true);
    await action().catch((error) => announce(error.message, { isError: true }));
    setBusy(false);
  };
  const possible = ACTIONS.filter(({ from }) => /** @type {readonly string[]} */ (from).includes(job.status));
  return html`
    ${possible.map(
      ({ name, label, done }) => html`
        <button type="button" disabled=${isBusy} onClick=${() =>
          doing(async () => {
            onChange(/** @type {Job} */ (await post(`/fine_tuning/jobs/${job.id}/${name}`)));
            announce(`${done} the job.`);
          })}>${label}</button>`,
    )}
    <a class="button" href=${`#/new?from=${job.id}`}>Duplicate</a>
    <button type="button" class="danger" disabled=${isBusy} onClick=${() => setDeleting(true)}>Delete</button>
    ${
      isDeleting &&
      html`
      <${Confirm} title="Delete this job?" action="Delete the job" onCancel=${() => setDeleting(false)} onConfirm=${() =>
        doing(async () => {
          await remove(`/fine_tuning/jobs/${job.id}`);
          announce('Deleted the job.');
          go(link('jobs'));
        })}>
        <p>Its model, checkpoints, events and reports go with it. Its datasets stay. This cannot be undone.</p>
      <//>`
    }`;
}
