import { useEffect, useState } from 'preact/hooks';
import { post } from '../../api/client.js';
import { bytes, count, number } from '../../lib/format.js';
import { html } from '../../lib/html.js';

/** @typedef {import('../../api/types.d.ts').Estimate} Estimate */

/** People type on; only what they have typed is estimated. */
const SETTLED_MS = 500;

/** @param {{ request: Record<string, unknown>, title?: string }} props */
export function EstimatePanel({ request, title = 'Estimate' }) {
  const [state, setState] = useState(/** @type {{ estimate: Estimate | null, problem: string }} */ ({ estimate: null, problem: '' }));
  const { training_file: file, ...rest } = request;
  const asked = JSON.stringify(file === '' ? rest : request);
  const hasModel = request['model'] !== '';

  useEffect(() => {
    if (!hasModel) return;
    const ended = new AbortController();
    const timer = setTimeout(() => {
      post('/fine_tuning/estimate', JSON.parse(asked), { signal: ended.signal }).then(
        (estimate) => setState({ estimate: /** @type {Estimate} */ (estimate), problem: '' }),
        (error) => !ended.signal.aborted && setState({ estimate: null, problem: error.message }),
      );
    }, SETTLED_MS);
    return () => {
      clearTimeout(timer);
      ended.abort();
    };
  }, [asked, hasModel]);

  const { estimate, problem } = state;
  return html`
    <section class="card">
      <h2>${title}</h2>
      ${problem && html`<p class="note is-warn small">${problem}</p>`}
      ${estimate === null ? !problem && html`<p class="quiet">It comes when a model is chosen.</p>` : html`<${Shown} estimate=${estimate} />`}
    </section>`;
}

/** @param {{ estimate: Estimate }} props */
function Shown({ estimate: { memory, data, workers, ...estimate } }) {
  const fitting = workers.filter(({ fits }) => fits !== false).length;
  return html`
    <dl class="pairs">
      <dt>Memory</dt><dd class="number">${bytes(memory.total_bytes)}</dd>
      <dt>Trained</dt><dd class="number">${count(estimate.trained_parameters)} of ${count(estimate.total_parameters)} parameters</dd>
      <dt>Result</dt><dd class="number">${bytes(estimate.delivered_bytes)}</dd>
      ${
        data &&
        html`
          <dt>Examples</dt><dd class="number">${number(data.examples)}</dd>
          <dt>Steps</dt><dd class="number">${number(data.total_steps)}</dd>
          <dt>Tokens</dt><dd class="number">about ${count(data.total_tokens)}</dd>`
      }
      <dt>Workers</dt><dd>${workers.length === 0 ? 'none is running' : `${fitting} of ${workers.length} have room`}</dd>
    </dl>
    ${
      estimate.assumptions.length > 0 &&
      html`<details class="small"><summary>What was assumed</summary><ul class="stack-tight">${estimate.assumptions.map((text) => html`<li>${text}</li>`)}</ul></details>`
    }`;
}
