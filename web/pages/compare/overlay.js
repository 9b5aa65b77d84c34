import { useMemo, useRef, useState } from 'preact/hooks';
import { get } from '../../api/client.js';
import { useResource } from '../../api/use-resource.js';
import { overlaid, titleOf, withRates } from '../../lib/curves.js';
import { html } from '../../lib/html.js';
import { Chart } from '../../parts/chart.js';
import { hasEnded } from '../../parts/status.js';
import { CurveControls } from '../job/curves.js';
import { loadSteps } from '../job/live.js';

/** @typedef {import('../../api/types.d.ts').Job} Job */
/** @typedef {import('../../api/types.d.ts').StepMetrics} StepMetrics */
/** @typedef {{ job: Job, rows: StepMetrics[] }} Run */

const POLL_MS = 4_000;
/** As many runs as there are colours. */
export const MOST = 6;

/** What is read of each job is kept: a page that is open for hours asks only for what has come since. @param {string[]} ids */
export function useRuns(ids) {
  const known = useRef(/** @type {Map<string, Run>} */ (new Map()));
  return useResource((signal) => Promise.all(ids.map((id) => continued(id, { known: known.current, signal }))), [ids.join()], { everyMs: POLL_MS });
}

/** @param {string} id @param {{ known: Map<string, Run>, signal: AbortSignal }} options @returns {Promise<Run>} */
async function continued(id, { known, signal }) {
  const before = known.get(id);
  // The job first: if it has ended by then, these are all of its steps.
  const job = /** @type {Job} */ (await get(`/fine_tuning/jobs/${encodeURIComponent(id)}`, { signal }));
  const isComplete = before !== undefined && hasEnded(before.job) && before.job.status === job.status;
  const fresh = isComplete ? [] : await loadSteps(id, { after: before?.rows.at(-1)?.step ?? 0, signal });
  const run = { job, rows: fresh.length === 0 && before ? before.rows : [...(before?.rows ?? []), ...fresh] };
  known.set(id, run);
  return run;
}

/** The curves of several runs, each metric in one plot. @param {{ runs: { label: string, rows: StepMetrics[] }[], first: readonly string[] }} props `first`: the metrics that are shown at first */
export function Overlay({ runs, first }) {
  const names = useMemo(
    () => [...new Set(runs.flatMap(({ rows }) => rows.flatMap(({ metrics }) => Object.keys(withRates(metrics)))))].sort(),
    [runs],
  );
  const [shown, setShown] = useState(first);
  const [smoothing, setSmoothing] = useState(0);
  const [isLog, setLog] = useState(false);
  return html`
    <div class="row">
      <${CurveControls} smoothing=${smoothing} isLog=${isLog} onSmoothing=${setSmoothing} onLog=${setLog} />
      <label class="check small">Add a curve
        <select value="" onChange=${(/** @type {any} */ { currentTarget }) => setShown([...new Set([...shown, currentTarget.value])])}>
          <option value="">Choose …</option>${names.filter((name) => !shown.includes(name)).map((name) => html`<option value=${name}>${titleOf(name)}</option>`)}
        </select>
      </label>
    </div>
    <div class="charts">
      ${shown.filter((name) => names.includes(name)).map((name) => html`<${Chart} key=${name} curve=${overlaid(runs, name)} smoothing=${smoothing} isLog=${isLog} syncKey="compare" />`)}
    </div>`;
}
