import { quantity } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { jobsInWords, jobsOf, MOST_JOBS, rungsOf } from '../../lib/trials.js';

/** How many jobs there will be. @param {{ search: import('../../lib/search.js').SweepRequest['search'] }} props */
export function JobsPanel({ search }) {
  const jobs = jobsOf(search) ?? 0;
  const rungs = rungsOf(search);
  return html`
    <section class="card">
      <h2>Jobs</h2>
      <div role="status" class="stack-tight">
        <p><strong>${jobs === 0 ? 'None yet' : quantity(jobs, 'job')}</strong></p>
        <p class="small quiet">${jobsInWords(search)}</p>
        ${jobs > MOST_JOBS && html`<p class="note is-warn small">A sweep has at most ${quantity(MOST_JOBS, 'job')}.</p>`}
        ${
          rungs.length > 0 &&
          html`
          <ul class="stack-tight small">
            ${rungs.map(({ jobs, step }) => html`<li>${quantity(jobs, 'job')} to step ${step.toLocaleString('en')}</li>`)}
            <li>1 job to its end</li>
          </ul>`
        }
      </div>
    </section>`;
}
