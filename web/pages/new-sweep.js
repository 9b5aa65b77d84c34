import { useState } from 'preact/hooks';
import { post } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { announce } from '../lib/announce.js';
import { asCurl, sweepAsNode, sweepAsPython } from '../lib/as-code.js';
import { draftOf, emptyDraft } from '../lib/draft.js';
import { quantity } from '../lib/format.js';
import { takeOver } from '../lib/handed-over.js';
import { html } from '../lib/html.js';
import { go, link } from '../lib/route.js';
import { emptySearch, sweepProblemOf, sweepRequestOf } from '../lib/search.js';
import { sweepAsGraft } from '../lib/sweep-as-graft.js';
import { jobsOf } from '../lib/trials.js';
import { Refusal, refusedIn, useSending } from '../parts/refused.js';
import { Head } from '../parts/shell.js';
import { Resource } from '../parts/state.js';
import { AsCode } from './new-job/as-code.js';
import { EstimatePanel } from './new-job/estimate.js';
import { JobFields } from './new-job/fields.js';
import { loadKnown } from './new-job/known.js';
import { JobsPanel } from './new-sweep/jobs.js';
import { SearchFields } from './new-sweep/search.js';
import { VariedFields } from './new-sweep/varied.js';

/** @typedef {import('../api/types.d.ts').Sweep} Sweep */
/** @typedef {import('../lib/draft.js').Draft} Draft */
/** @typedef {import('../lib/search.js').Search} Search */
/** @typedef {import('./new-job/known.js').Known} Known */

const PATH = '/fine_tuning/sweeps';

const LANGUAGES = /** @type {const} */ ([
  ['curl', (/** @type {string} */ url, /** @type {Record<string, unknown>} */ request) => asCurl(url, request, PATH)],
  ['Python', sweepAsPython],
  ['Node', sweepAsNode],
  ['graft', sweepAsGraft],
]);

/** @param {{ from: string | null }} props a job to begin with */
export function NewSweepPage({ from }) {
  const [handed] = useState(takeOver);
  const known = useResource((signal) => loadKnown(signal, from), [from]);
  return html`
    <${Head} title="New sweep" note="The same job with different settings: the best of them is named at the end." />
    <${Resource} of=${known}>
      ${(/** @type {Known} */ { models, files, copied }) => {
        const start = copied === null ? (handed ?? { ...emptyDraft(), model: models[0]?.id ?? '' }) : draftOf(copied);
        return html`<${Form} models=${models} files=${files} start=${start} />`;
      }}
    <//>`;
}

/** @param {Pick<Known, 'models' | 'files'> & { start: Draft }} props */
function Form({ models, files, start }) {
  const [draft, setDraft] = useState(start);
  const [search, setSearch] = useState(emptySearch);
  const { refused, isBusy, send } = useSending();
  /** @param {Partial<Draft>} change */
  const change = (change) => setDraft((before) => ({ ...before, ...change }));
  /** @param {Partial<Search>} change */
  const changeSearch = (change) => setSearch((before) => ({ ...before, ...change }));
  const request = sweepRequestOf(draft, search);
  const jobs = jobsOf(request.search) ?? 0;
  const inSearch = { draft, search, change: changeSearch, refused };

  const create = async () => {
    const sweep = /** @type {Sweep} */ (await post(PATH, request));
    announce(`Created the sweep of ${quantity(sweep.jobs.total, 'job')}.`);
    go(link('sweeps', sweep.id));
  };

  return html`
    <div class="split">
      <form class="stack" novalidate onSubmit=${(/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        void send(sweepProblemOf(draft, search), create);
      }}>
        <${Refusal} refused=${refused} />
        <${JobFields} draft=${draft} change=${change} models=${models} files=${files} refused=${refusedIn(refused, 'base')} validates />
        <${VariedFields} ...${inSearch} />
        <${SearchFields} ...${inSearch} />
        <div class="row">
          <button class="primary" disabled=${isBusy}>${isBusy ? 'Creating …' : jobs === 0 ? 'Create the sweep' : `Create the sweep of ${quantity(jobs, 'job')}`}</button>
        </div>
      </form>
      <aside class="stack aside" aria-label="What the sweep needs">
        <${JobsPanel} search=${request.search} />
        <${EstimatePanel} request=${request.base} title="Estimate of one job" />
        <${AsCode} request=${request} what="sweep" languages=${LANGUAGES} />
      </aside>
    </div>`;
}
