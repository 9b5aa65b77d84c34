import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, get, post } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { announce } from '../lib/announce.js';
import { draftOf, emptyDraft, problemOf, requestOf } from '../lib/draft.js';
import { html } from '../lib/html.js';
import { go, link } from '../lib/route.js';
import { Head } from '../parts/shell.js';
import { Resource } from '../parts/state.js';
import { isTuned, loadModels } from './models.js';
import { AsCode } from './new-job/as-code.js';
import { DataFields } from './new-job/data.js';
import { EstimatePanel } from './new-job/estimate.js';
import { QuestionFields } from './new-job/questions.js';
import { MethodFields, SettingFields } from './new-job/settings.js';

/** @typedef {import('../api/types.d.ts').Job} Job */
/** @typedef {import('../api/types.d.ts').Model} Model */
/** @typedef {import('../api/types.d.ts').StoredFile} StoredFile */
/** @typedef {import('../lib/draft.js').Draft} Draft */

const DATASETS = 200;

/** @param {AbortSignal} signal @param {string | null} from */
async function load(signal, from) {
  const [models, files, copied] = await Promise.all([
    loadModels(signal),
    /** @type {Promise<import('../api/types.d.ts').List<StoredFile>>} */ (get(`/files?purpose=fine-tune&limit=${DATASETS}`, { signal })),
    from === null ? null : /** @type {Promise<Job>} */ (get(`/fine_tuning/jobs/${encodeURIComponent(from)}`, { signal })),
  ]);
  return { models: models.data.filter(({ tuning_types: types }) => types?.length !== 0), files: files.data, copied };
}

/** @param {{ from: string | null, file: string | null, model: string | null }} props a job to copy, a file and a model to begin with */
export function NewJobPage({ from, file, model }) {
  const known = useResource((signal) => load(signal, from), [from]);
  return html`
    <${Head} title=${from === null ? 'New job' : 'New job like another'} note="Only a file and a model are needed; the rest has good defaults." />
    <${Resource} of=${known}>
      ${(/** @type {Awaited<ReturnType<typeof load>>} */ { models, files, copied }) => {
        const start = copied === null ? { ...emptyDraft(), model: model ?? models[0]?.id ?? '', training_file: file ?? '' } : draftOf(copied);
        return html`<${Form} models=${models} files=${files} start=${start} />`;
      }}
    <//>`;
}

/** @param {{ models: Model[], files: StoredFile[], start: Draft }} props */
function Form({ models, files, start }) {
  const [draft, setDraft] = useState(start);
  const [uploaded, setUploaded] = useState(/** @type {StoredFile[]} */ ([]));
  const [problem, setProblem] = useState(/** @type {{ message: string, param: string | null } | null} */ (null));
  const [isBusy, setBusy] = useState(false);
  const alert = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (problem !== null) alert.current?.focus();
  }, [problem]);

  /** @param {Partial<Draft>} change */
  const change = (change) => setDraft((before) => ({ ...before, ...change }));
  const request = requestOf(draft);
  const all = [...uploaded, ...files.filter(({ id }) => !uploaded.some((file) => file.id === id))];
  const param = problem?.param ?? null;

  const create = async () => {
    const found = problemOf(draft);
    setProblem(found);
    if (found !== null) return;
    setBusy(true);
    try {
      const job = /** @type {Job} */ (await post('/fine_tuning/jobs', request));
      announce(draft.isDry ? 'Created a dry run.' : 'Created the job.');
      go(link('jobs', job.id));
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      setProblem({ message, param: error instanceof ApiError ? error.param : null });
      setBusy(false);
    }
  };

  return html`
    <div class="split">
      <form class="stack" novalidate onSubmit=${(/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        void create();
      }}>
        ${problem && html`<div class="note is-error" role="alert" tabindex="-1" ref=${alert}>${problem.message}</div>`}
        <${DataFields} draft=${draft} change=${change} files=${all} onUploaded=${(/** @type {StoredFile} */ file) => setUploaded((known) => [file, ...known])} />
        <section class="card">
          <h2>2. Model</h2>
          <${ModelField} models=${models} value=${draft.model} onChange=${(/** @type {string} */ model) => change({ model })} />
        </section>
        <${MethodFields} draft=${draft} change=${change} param=${param} />
        <${SettingFields} draft=${draft} change=${change} param=${param} />
        <${QuestionFields} draft=${draft} change=${change} files=${all} param=${param} />
        <div class="row">
          <button class="primary" disabled=${isBusy}>${isBusy ? 'Creating …' : draft.isDry ? 'Create the dry run' : 'Create the job'}</button>
          <label class="check small"><input type="checkbox" checked=${draft.isDry} onChange=${() => change({ isDry: !draft.isDry })} />
            Dry run: two real steps measure memory and time, and nothing is delivered</label>
        </div>
      </form>
      <aside class="stack aside" aria-label="What the job needs">
        <${EstimatePanel} request=${request} />
        <${AsCode} request=${request} />
      </aside>
    </div>`;
}

/** @param {{ models: Model[], value: string, onChange: (model: string) => void }} props */
function ModelField({ models, value, onChange }) {
  const isListed = models.some(({ id }) => id === value);
  const [isOther, setOther] = useState(!isListed && value !== '');
  return html`
    <div class="field">
      <label for="model">Start from</label>
      <select id="model" value=${isOther ? '' : value} onChange=${(/** @type {any} */ { currentTarget }) => {
        setOther(currentTarget.value === '');
        onChange(currentTarget.value);
      }}>
        <optgroup label="Base models">${models.filter((model) => !isTuned(model)).map(({ id }) => html`<option value=${id}>${id}</option>`)}</optgroup>
        <optgroup label="Tuned models">${models.filter(isTuned).map(({ id }) => html`<option value=${id}>${id}</option>`)}</optgroup>
        <option value="">Another one, by name</option>
      </select>
      ${models.length === 0 && html`<span class="problem">No worker is running, or none has a model. A job can be created when one does.</span>`}
    </div>
    ${
      isOther &&
      html`
      <div class="field">
        <label for="model-name">Its name</label>
        <input id="model-name" value=${value} spellcheck=${false} onInput=${(/** @type {any} */ { currentTarget }) => onChange(currentTarget.value)} />
        <span class="hint"><code>org/name</code> on the hub if downloads are allowed, or a checkpoint’s name.</span>
      </div>`
    }`;
}
