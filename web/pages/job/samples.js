import { quantity } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { Empty } from '../../parts/state.js';
import { Report } from './report.js';

/** @typedef {{ id: string, step_number: number, prompt_index: number, prompt: string | { role: string, content: string }[], text: string, finish_reason: string }} Sample */

/** What the model answered to the job's prompts while it learned. @param {{ job: import('../../api/types.d.ts').Job }} props */
export const Samples = ({ job }) => html`
  <${Report} job=${job} kind="samples?limit=100" waiting="They come with the first evaluation." missing="The job was asked for no samples.">
    ${(/** @type {{ data: Sample[] }} */ { data }) =>
      data.length === 0
        ? html`<${Empty} title="No samples"><p>A job that is created with <code>sample_prompts</code> shows here how its answers change.</p><//>`
        : html`<div class="stack">${byPrompt(data).map((samples) => html`<${Answers} samples=${samples} />`)}</div>`}
  <//>`;

/** The answers to each prompt, the first one first. @param {Sample[]} samples */
function byPrompt(samples) {
  const groups = Map.groupBy(samples, ({ prompt_index: index }) => index);
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group.sort((a, b) => a.step_number - b.step_number));
}

/** @param {{ samples: Sample[] }} props */
const Answers = ({ samples }) => html`
  <section class="card">
    <h2 class="plot-title wrap">${promptText(samples[0]?.prompt ?? '')}</h2>
    <ol class="events">
      ${samples.map(
        ({ id, step_number: step, text, finish_reason: reason }) => html`
          <li key=${id}><span class="small quiet number">${step === 0 ? 'before' : `step ${step}`}</span>
            <span class="answer wrap">${text}${reason === 'length' && html`<span class="quiet"> … (cut at its longest)</span>`}</span></li>`,
      )}
    </ol>
    <p class="small quiet">${quantity(samples.length, 'answer')}, without a random choice.</p>
  </section>`;

/** @param {Sample['prompt']} prompt */
const promptText = (prompt) => (typeof prompt === 'string' ? prompt : prompt.map(({ content }) => content).join(' / '));
