import { useMemo, useState } from 'preact/hooks';
import { curvesOf } from '../../lib/curves.js';
import { html } from '../../lib/html.js';
import { Chart } from '../../parts/chart.js';
import { Empty } from '../../parts/state.js';
import { hasEnded } from '../../parts/status.js';

/** @typedef {import('../../api/types.d.ts').Job} Job */
/** @typedef {import('../../api/types.d.ts').StepMetrics} StepMetrics */

/** @param {{ smoothing: number, isLog: boolean, onSmoothing: (weight: number) => void, onLog: (isLog: boolean) => void }} props */
export const CurveControls = ({ smoothing, isLog, onSmoothing, onLog }) => html`
  <div class="row" role="group" aria-label="How the curves are drawn">
    <label class="check small">Smoothing
      <input type="range" min="0" max="0.95" step="0.05" value=${smoothing}
        onInput=${(/** @type {any} */ event) => onSmoothing(Number(event.currentTarget.value))} />
      <output class="number">${smoothing.toFixed(2)}</output>
    </label>
    <label class="check small"><input type="checkbox" checked=${isLog} onChange=${() => onLog(!isLog)} /> Log scale</label>
  </div>`;

/** @param {{ job: Job, steps: StepMetrics[] }} props */
export function Curves({ job, steps }) {
  const [smoothing, setSmoothing] = useState(0.6);
  const [isLog, setLog] = useState(false);
  const curves = useMemo(() => curvesOf(steps), [steps]);
  if (curves.length === 0)
    return html`
      <${Empty} title=${hasEnded(job) ? 'No curves' : 'The curves come with the first step'}>
        <p>${hasEnded(job) ? 'The job ended before its first step.' : 'The files are read first. This page follows by itself.'}</p>
      <//>`;
  return html`
    <div class="stack">
      <${CurveControls} smoothing=${smoothing} isLog=${isLog} onSmoothing=${setSmoothing} onLog=${setLog} />
      <div class="charts">
        ${curves.map((curve) => html`<${Chart} key=${curve.title} curve=${curve} smoothing=${smoothing} isLog=${isLog} syncKey=${job.id} />`)}
      </div>
    </div>`;
}
