import { useState } from 'preact/hooks';
import { get, post, remove } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { titleOf } from '../lib/curves.js';
import { useDoing } from '../lib/doing.js';
import { short, time } from '../lib/format.js';
import { html } from '../lib/html.js';
import { go, link } from '../lib/route.js';
import { fieldName, isOpen, ranked, shownValue, sweepName, trialName } from '../lib/sweeps.js';
import { Confirm } from '../parts/confirm.js';
import { Head } from '../parts/shell.js';
import { Resource } from '../parts/state.js';
import { Status } from '../parts/status.js';
import { MOST, Overlay, useRuns } from './compare/overlay.js';

/** @typedef {import('../api/types.d.ts').Sweep} Sweep */
/** @typedef {import('../api/types.d.ts').Trial} Trial */
/** @typedef {Sweep & { trials: Trial[] }} WithTrials */

const POLL_MS = 3_000;

/** @param {{ id: string }} props */
export function SweepPage({ id }) {
  const [isRunning, setRunning] = useState(true);
  const sweep = useResource(
    async (signal) => {
      const read = /** @type {WithTrials} */ (await get(`/fine_tuning/sweeps/${encodeURIComponent(id)}`, { signal }));
      setRunning(isOpen(read));
      return read;
    },
    [id],
    { everyMs: isRunning ? POLL_MS : null },
  );
  if (sweep.data === null) return html`<${Head} title="Sweep" note=${id} /><${Resource} of=${sweep}>${() => null}<//>`;
  const shown = sweep.data;
  const best = ranked(shown.trials, shown.mode);
  return html`
    <${Head} title=${sweepName(shown)} note=${html`<code class="wrap">${shown.id}</code>`}><${Actions} sweep=${shown} onChange=${sweep.reload} /><//>
    <${Facts} sweep=${shown} />
    <${Trials} sweep=${shown} trials=${best} />
    <${Plots} trials=${plotted(best)} metric=${shown.metric} />`;
}

/** The best, in an order that stays while they train. @param {Trial[]} best */
const plotted = (best) =>
  best
    .filter(({ job_id: job }) => job !== null)
    .slice(0, MOST)
    .sort((a, b) => a.index - b.index);

/** @param {{ sweep: WithTrials, onChange: () => void }} props */
function Actions({ sweep, onChange }) {
  const { id } = sweep;
  const [isBusy, run] = useDoing();
  const [isDeleting, setDeleting] = useState(false);
  const [keepsWinner, setKeepsWinner] = useState(true);
  /** @param {() => Promise<unknown>} action @param {string} done */
  const doing = async (action, done) => {
    await run(action, done);
    setDeleting(false);
  };
  const cancel = async () => {
    await post(`/fine_tuning/sweeps/${id}/cancel`);
    onChange();
  };
  const erase = async () => {
    await remove(`/fine_tuning/sweeps/${id}${keepsWinner && sweep.winner !== null ? '?keep_winner=true' : ''}`);
    go(link('sweeps'));
  };
  return html`
    ${isOpen(sweep) && html`<button type="button" disabled=${isBusy} onClick=${() => doing(cancel, 'Cancelled the sweep.')}>Cancel</button>`}
    <button type="button" class="danger" disabled=${isBusy} onClick=${() => setDeleting(true)}>Delete</button>
    ${
      isDeleting &&
      html`
      <${Confirm} title="Delete this sweep?" action="Delete the sweep" onCancel=${() => setDeleting(false)} onConfirm=${() => doing(erase, 'Deleted the sweep.')}>
        <p>Its jobs go with it, and all that they made. This cannot be undone.</p>
        ${sweep.winner !== null && html`<label class="check"><input type="checkbox" checked=${keepsWinner} onChange=${() => setKeepsWinner(!keepsWinner)} /> Keep the best job, and its model</label>`}
      <//>`
    }`;
}

/** @param {{ sweep: WithTrials }} props */
const Facts = ({ sweep: { status, waiting_for: waiting, reason, metric, mode, search, budget, base, jobs, created_at: created, rungs } }) => html`
  <section class="card" aria-label="State">
    <div class="row">
      <span role="status"><${Status} status=${status} /></span>
      <div class="job-progress">
        <progress max=${jobs.total} value=${jobs.ended} aria-label="Jobs that have ended"></progress>
        <span class="small quiet number">${jobs.ended} of ${jobs.total} jobs have ended</span>
      </div>
    </div>
    ${reason && html`<p class="wrap">${reason}</p>`}
    ${waiting && html`<p class="quiet">The next job waits: ${waiting}</p>`}
    <dl class="facts">
      <div><dt>Compared by</dt><dd>${titleOf(metric)}, the ${mode === 'max' ? 'highest' : 'lowest'}</dd></div>
      <div><dt>Strategy</dt><dd>${search.strategy.replaceAll('_', ' ')}</dd></div>
      <div><dt>Model</dt><dd class="wrap">${String(base['model'] ?? '–')}</dd></div>
      ${budget !== null && html`<div><dt>Budget</dt><dd>${shownBudget(budget)}</dd></div>`}
      <div><dt>Created</dt><dd>${time(created)}</dd></div>
    </dl>
    ${
      rungs.length > 0 &&
      html`
      <h2>Comparisons</h2>
      <ul class="stack-tight small">
        ${rungs.map(({ step, kept, stopped }) => html`<li>At step ${step}: jobs ${kept.join(', ')} train on${stopped.length > 0 && `, ${stopped.map(({ index }) => index).join(', ')} are stopped`}.</li>`)}
      </ul>`
    }
  </section>`;

/** @param {NonNullable<Sweep['budget']>} budget */
const shownBudget = (budget) =>
  Object.entries(budget)
    .map(([what, amount]) => `${amount.toLocaleString('en')} ${what}`)
    .join(', ');

/** @param {{ sweep: WithTrials, trials: Trial[] }} props */
function Trials({ sweep, trials }) {
  const paths = Object.keys(sweep.search.parameters);
  return html`
    <section class="stack-tight">
      <h2>Jobs, the best first</h2>
      <div class="table-box" tabindex="0" role="region" aria-label="Jobs, the best first">
        <table class="number">
          <thead>
            <tr><th scope="col">Job</th>${paths.map((path) => html`<th scope="col" title=${path}>${fieldName(path)}</th>`)}
              ${['State', 'Steps', titleOf(sweep.metric)].map((name) => html`<th scope="col">${name}</th>`)}</tr>
          </thead>
          <tbody>
            ${trials.map((trial) => {
              const isWinner = trial.index === sweep.winner?.index;
              const { index, values, job_id: job, status, step, total_steps: total, metric, error } = trial;
              return html`
                <tr key=${index} class=${isWinner ? 'is-best' : ''}>
                  <th scope="row">${job === null ? index : html`<a href=${link('jobs', job)}>${index}</a>`}${isWinner && html` <strong class="small">winner</strong>`}</th>
                  ${paths.map((path) => html`<td class="wrap">${shownValue(values[path])}</td>`)}
                  <td><${Status} status=${status} />${error && html`<div class="small wrap">${error.message}</div>`}</td>
                  <td>${total === null ? '–' : `${step ?? 0} of ${total}`}</td>
                  <td>${metric === null ? '–' : `${short(metric.value)} at step ${metric.step}`}</td>
                </tr>`;
            })}
          </tbody>
        </table>
      </div>
    </section>`;
}

/** @param {{ trials: Trial[], metric: string }} props */
function Plots({ trials, metric }) {
  const runs = useRuns(trials.flatMap(({ job_id: job }) => job ?? []));
  if (trials.length === 0) return null;
  const labels = new Map(trials.map((trial) => [trial.job_id, trialName(trial)]));
  return html`
    <section class="stack-tight">
      <h2>${trials.length < MOST ? 'Curves' : `Curves of the best ${MOST}`}</h2>
      <${Resource} of=${runs}>
        ${(/** @type {import('./compare/overlay.js').Run[]} */ read) => html`
          <${Overlay} runs=${read.map(({ job, rows }) => ({ label: labels.get(job.id) ?? job.id, rows }))} first=${[...new Set([metric, 'train_loss'])]} />`}
      <//>
    </section>`;
}
