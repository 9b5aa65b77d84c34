import { useState } from 'preact/hooks';
import { post } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { announce } from '../lib/announce.js';
import { draftOf, emptyDraft, problemOf, requestOf } from '../lib/draft.js';
import { handOver } from '../lib/handed-over.js';
import { html } from '../lib/html.js';
import { go, link } from '../lib/route.js';
import { Refusal, useSending } from '../parts/refused.js';
import { Head } from '../parts/shell.js';
import { Resource } from '../parts/state.js';
import { AsCode } from './new-job/as-code.js';
import { EstimatePanel } from './new-job/estimate.js';
import { JobFields } from './new-job/fields.js';
import { loadKnown } from './new-job/known.js';

/** @typedef {import('../api/types.d.ts').Job} Job */
/** @typedef {import('../lib/draft.js').Draft} Draft */
/** @typedef {import('./new-job/known.js').Known} Known */

/** @param {{ from: string | null, file: string | null, model: string | null }} props a job to copy, a file and a model to begin with */
export function NewJobPage({ from, file, model }) {
  const known = useResource((signal) => loadKnown(signal, from), [from]);
  return html`
    <${Head} title=${from === null ? 'New job' : 'New job like another'} note="Only a file and a model are needed; the rest has good defaults." />
    <${Resource} of=${known}>
      ${(/** @type {Known} */ { models, files, copied }) => {
        const start = copied === null ? { ...emptyDraft(), model: model ?? models[0]?.id ?? '', training_file: file ?? '' } : draftOf(copied);
        return html`<${Form} models=${models} files=${files} start=${start} />`;
      }}
    <//>`;
}

/** @param {Pick<Known, 'models' | 'files'> & { start: Draft }} props */
function Form({ models, files, start }) {
  const [draft, setDraft] = useState(start);
  const { refused, isBusy, send } = useSending();
  /** @param {Partial<Draft>} change */
  const change = (change) => setDraft((before) => ({ ...before, ...change }));
  const request = requestOf(draft);

  const create = async () => {
    const job = /** @type {Job} */ (await post('/fine_tuning/jobs', request));
    announce(draft.isDry ? 'Created a dry run.' : 'Created the job.');
    go(link('jobs', job.id));
  };

  return html`
    <div class="split">
      <form class="stack" novalidate onSubmit=${(/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        void send(problemOf(draft), create);
      }}>
        <${Refusal} refused=${refused} />
        <${JobFields} draft=${draft} change=${change} models=${models} files=${files} refused=${refused} />
        <div class="row">
          <button class="primary" disabled=${isBusy}>${isBusy ? 'Creating …' : draft.isDry ? 'Create the dry run' : 'Create the job'}</button>
          <label class="check small"><input type="checkbox" checked=${draft.isDry} onChange=${() => change({ isDry: !draft.isDry })} />
            Dry run: two real steps measure memory and time, and nothing is delivered</label>
          <button type="button" class="plain" onClick=${() => {
            handOver(draft);
            go(link('sweeps', 'new'));
          }}>Make a sweep of this</button>
        </div>
      </form>
      <aside class="stack aside" aria-label="What the job needs">
        <${EstimatePanel} request=${request} />
        <${AsCode} request=${request} />
      </aside>
    </div>`;
}
