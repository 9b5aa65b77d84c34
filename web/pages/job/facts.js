import { METHODS, OBJECTIVES } from '../../lib/fields.js';
import { count, short, time } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { link } from '../../lib/route.js';

/** @typedef {import('../../api/types.d.ts').Job} Job */

/** @param {unknown} value */
const text = (value) => (typeof value === 'number' ? short(value) : String(value ?? '–'));

/** What a job was asked to do, in short. @param {{ job: Job }} props */
export function Facts({ job }) {
  const { hyperparameters: chosen, tuning } = job;
  const name = METHODS.find(({ type }) => type === tuning.type)?.label ?? tuning.type;
  const objective = OBJECTIVES.find(({ type }) => type === job.method.type)?.label ?? job.method.type;
  const method = tuning['r'] === undefined ? name : `${name}, r ${tuning['r']}`;
  return html`
    <dl class="facts">
      <div><dt>Model</dt><dd>${job.model}</dd></div>
      <div><dt>Method</dt><dd>${method}</dd></div>
      <div><dt>Objective</dt><dd>${objective}</dd></div>
      <div><dt>Training file</dt><dd><a href=${link('files', job.training_file)}>${job.training_file.slice(0, 12)}…</a></dd></div>
      <div><dt>Epochs</dt><dd>${text(chosen['n_epochs'])}</dd></div>
      <div><dt>Batch size</dt><dd>${text(chosen['batch_size'])}</dd></div>
      <div><dt>Learning rate</dt><dd>${text(chosen['learning_rate'] ?? chosen['learning_rate_multiplier'])}</dd></div>
      <div><dt>Tokens trained on</dt><dd>${job.trained_tokens === null ? '–' : count(job.trained_tokens)}</dd></div>
      ${job.sweep_id && html`<div><dt>Sweep</dt><dd><a href=${link('sweeps', job.sweep_id)}>${job.sweep_id.slice(0, 14)}…</a></dd></div>`}
      <div><dt>Created</dt><dd>${time(job.created_at)}</dd></div>
      ${job.fine_tuned_model && html`<div class="wide"><dt>Tuned model</dt><dd><a href=${`#/chat?model=${encodeURIComponent(job.fine_tuned_model)}`}>${job.fine_tuned_model}</a></dd></div>`}
    </dl>
    <details>
      <summary class="small">All settings</summary>
      <dl class="pairs small">
        <dt>seed</dt><dd>${job.seed}</dd><dt>priority</dt><dd>${job.priority}</dd>
        ${[...Object.entries(chosen), ...Object.entries(tuning), ...Object.entries(job.metadata ?? {})].map(
          ([name, value]) => html`<dt>${name}</dt><dd>${typeof value === 'object' ? JSON.stringify(value) : text(value)}</dd>`,
        )}
      </dl>
    </details>`;
}
