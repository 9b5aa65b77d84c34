import { bytes, count, duration, number } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { Report } from './report.js';

/** What a dry run measured, instead of curves. @param {{ job: import('../../api/types.d.ts').Job }} props */
export const DryRun = ({ job }) => html`
  <${Report} job=${job} kind="dry_run" waiting="It comes when the two steps have been taken." missing="The dry run ended before it had measured anything.">
    ${(/** @type {any} */ { seconds, memory, ...run }) => html`
      <section class="card">
        <div class="card-head"><h2>What the job would need</h2><a class="button primary" href=${`#/new?from=${job.id}`}>Create the job</a></div>
        <dl class="facts">
          <div><dt>Time in all</dt><dd>${duration(seconds.total)}</dd></div>
          <div><dt>of it training</dt><dd>${duration(seconds.training)}</dd></div>
          <div><dt>Memory at its peak</dt><dd>${bytes(memory.peak_bytes)}</dd></div>
          <div><dt>Tokens per second</dt><dd>${count(run.tokens_per_second)}</dd></div>
          <div><dt>Steps</dt><dd>${number(run.total_steps)}</dd></div>
          <div><dt>Tokens</dt><dd>${count(run.total_tokens)}</dd></div>
          <div><dt>Trained parameters</dt><dd>${count(run.trained_parameters)} of ${count(run.total_parameters)}</dd></div>
          <div><dt>Result</dt><dd>${bytes(run.delivered_bytes)}</dd></div>
        </dl>
        ${run.workers && html`<p>${run.workers.filter((/** @type {any} */ { fits }) => fits !== false).length} of ${run.workers.length} workers have room for it.</p>`}
      </section>`}
  <//>`;
