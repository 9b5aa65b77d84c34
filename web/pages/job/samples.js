import { get } from '../../api/client.js';
import { useResource } from '../../api/use-resource.js';
import { quantity } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { Empty, Resource } from '../../parts/state.js';
import { hasEnded } from '../../parts/status.js';
import { Scores } from './scores.js';

/** @typedef {import('../../api/types.d.ts').Job} Job */
/** @typedef {import('../../api/types.d.ts').Sample} Sample */
/** @typedef {import('../../api/types.d.ts').List<Sample>} SampleList */

const POLL_MS = 5_000;
const SHOWN = 100;

/** What the model answered while it learned, and what its answers were worth. @param {{ job: Job }} props */
export function Samples({ job }) {
  const hasPrompts = (job.sample_prompts?.length ?? 0) > 0;
  const hasGraders = (job.evaluations?.length ?? 0) > 0;
  if (!hasPrompts && !hasGraders)
    return html`
      <${Empty} title="The job asks its model nothing">
        <p>A job that is created with sample prompts or graders shows here how its answers change, beside those of the base model.</p>
        <a class="button" href=${`#/new?from=${job.id}`}>A job like this with questions</a>
      <//>`;
  return html`<div class="stack">${hasGraders && html`<${Scores} job=${job} />`}${hasPrompts && html`<${AllAnswers} job=${job} />`}</div>`;
}

/** The newest answers, and the first ones however many have come since. @param {string} id @param {AbortSignal} signal @returns {Promise<Sample[]>} */
async function load(id, signal) {
  const [newest, first] = await Promise.all(
    ['', '&step_number=0'].map(
      (only) => /** @type {Promise<SampleList>} */ (get(`/fine_tuning/jobs/${id}/samples?limit=${SHOWN}${only}`, { signal })),
    ),
  );
  const all = new Map([...(newest?.data ?? []), ...(first?.data ?? [])].map((sample) => [sample.id, sample]));
  return [...all.values()].sort((a, b) => a.prompt_index - b.prompt_index || a.step_number - b.step_number);
}

/** @param {{ job: Job }} props */
function AllAnswers({ job }) {
  const isOver = hasEnded(job);
  const samples = useResource((signal) => load(job.id, signal), [job.id, isOver], { everyMs: isOver ? null : POLL_MS });
  return html`
    <${Resource} of=${samples}>
      ${(/** @type {Sample[]} */ data) =>
        data.length === 0
          ? html`<${Empty} title="No answers yet"><p>${isOver ? 'The job ended before its model was asked.' : 'The first come before the first step.'}</p><//>`
          : html`<div class="stack">${byPrompt(data).map((answers) => html`<${Answers} answers=${answers} />`)}</div>`}
    <//>`;
}

/** @param {Sample[]} samples */
const byPrompt = (samples) =>
  [...new Set(samples.map(({ prompt_index: index }) => index))].map((index) => samples.filter((sample) => sample.prompt_index === index));

/** @param {{ answers: Sample[] }} props in the order of their steps */
function Answers({ answers }) {
  const [first, last] = [answers[0], answers.at(-1)];
  if (first === undefined || last === undefined) return null;
  const hasBoth = first.step_number === 0 && last !== first;
  return html`
    <section class="card">
      <h2 class="plot-title wrap">${promptText(first.prompt)}</h2>
      <div class="halves">
        <${Answer} sample=${first} />
        ${hasBoth ? html`<${Answer} sample=${last} />` : html`<p class="quiet">The next answer comes with the first evaluation.</p>`}
      </div>
      ${
        answers.length > 2 &&
        html`
        <details>
          <summary class="small">${quantity(answers.length, 'answer')} over time</summary>
          <ol class="events">
            ${answers.map((sample) => html`<li key=${sample.id}><span class="small quiet number">${stepOf(sample)}</span><${Text} sample=${sample} /></li>`)}
          </ol>
        </details>`
      }
      <p class="small quiet">The most probable token each time, without a random choice.</p>
    </section>`;
}

/** @param {Sample} sample */
const stepOf = ({ step_number: step }) => (step === 0 ? 'before' : `step ${step}`);

/** @param {{ sample: Sample }} props */
const Answer = ({ sample }) => html`
  <div class="stack-tight">
    <h3 class="small quiet">${sample.step_number === 0 ? 'Before training' : `After step ${sample.step_number}`}</h3>
    <p><${Text} sample=${sample} /></p>
  </div>`;

/** @param {{ sample: Sample }} props */
const Text = ({ sample: { text, finish_reason: reason } }) => html`
  <span class="answer wrap">${text === '' ? html`<span class="quiet">(nothing)</span>` : text}${reason === 'length' && html`<span class="quiet"> … (cut at its longest)</span>`}</span>`;

/** @param {Sample['prompt']} prompt */
const promptText = (prompt) => (typeof prompt === 'string' ? prompt : prompt.map(({ content }) => content).join(' / '));
