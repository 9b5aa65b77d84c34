import { useState } from 'preact/hooks';
import { get, post, remove } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { announce } from '../lib/announce.js';
import { useDoing } from '../lib/doing.js';
import { FORMATS, formatLabel, isUnderWay } from '../lib/exports.js';
import { ago, bytes, time } from '../lib/format.js';
import { html } from '../lib/html.js';
import { Confirm } from './confirm.js';
import { Download } from './download.js';
import { EventList } from './events.js';
import { SelectField } from './field.js';
import { Empty, Resource } from './state.js';
import { Status } from './status.js';

/** @typedef {import('../api/types.d.ts').Export} Export */
/** @typedef {import('../api/types.d.ts').List<Export>} ExportList */
/** @typedef {import('../api/types.d.ts').EventLine} EventLine */
/** @typedef {import('../api/types.d.ts').List<EventLine>} EventPage */

const SHOWN = 100;
const EVENTS_SHOWN = 20;
const BUSY_POLL_MS = 1_500;
const POLL_MS = 15_000;

/** Exports, newest first. @param {string | null} jobId  only those of its models */
export function useExports(jobId) {
  const [isBusy, setBusy] = useState(false);
  return useResource(
    async (signal) => {
      const { data, has_more: hasMore } = /** @type {ExportList} */ (await get(`/exports?limit=${SHOWN}`, { signal }));
      const shown = data.filter((one) => jobId === null || one.fine_tuning_job_id === jobId);
      setBusy(shown.some(isUnderWay));
      return { shown, hasMore };
    },
    [jobId],
    { everyMs: isBusy ? BUSY_POLL_MS : POLL_MS },
  );
}

/** Starts an export of one of these models. @param {{ models: readonly string[], first: string, onStarted: () => void }} props */
export function ExportForm({ models, first, onStarted }) {
  const [model, setModel] = useState(first);
  const [format, setFormat] = useState(/** @type {string} */ (FORMATS[0].format));
  const [dtype, setDtype] = useState('');
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  const { hint, dtypes } = FORMATS.find((known) => known.format === format) ?? FORMATS[0];
  const types = /** @type {readonly string[]} */ (dtypes);

  const start = async () => {
    setBusy(true);
    setProblem('');
    await post('/exports', { model, format, dtype: types.includes(dtype) ? dtype : types[0] }).then(
      () => {
        announce('Started the export.');
        onStarted();
      },
      (error) => setProblem(error.message),
    );
    setBusy(false);
  };
  return html`
    <form class="card" onSubmit=${(/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      void start();
    }}>
      <h2>Export a model</h2>
      <div class="fields">
        <${SelectField} id="export-model" label="Model" value=${model} onInput=${setModel} options=${[...new Set([first, ...models])].map((name) => [name, name])} />
        <${SelectField} id="export-format" label="Format" hint=${hint} value=${format} onInput=${setFormat} options=${FORMATS.map(({ format, label }) => [format, label])} />
        <${SelectField} id="export-dtype" label="Type of the weights" value=${types.includes(dtype) ? dtype : types[0]} onInput=${setDtype} options=${types.map((name) => [name, name])} />
      </div>
      ${problem && html`<p class="note is-error" role="alert">${problem}</p>`}
      <div><button class="primary" disabled=${isBusy}>${isBusy ? 'Starting …' : 'Export'}</button></div>
    </form>`;
}

/** @param {{ exports: ReturnType<typeof useExports>, none: string }} props `none`: what to say if there are none */
export const Exports = ({ exports, none }) => html`
  <${Resource} of=${exports} rows=${2}>
    ${(/** @type {{ shown: Export[], hasMore: boolean }} */ { shown, hasMore }) =>
      shown.length === 0
        ? html`<${Empty} title="No exports yet"><p>${none}</p><//>`
        : html`
            <ul class="stack" aria-label="Exports, newest first">${shown.map((one) => html`<${One} key=${one.id} one=${one} onChange=${exports.reload} />`)}</ul>
            ${hasMore && html`<p class="quiet">Of the newest ${SHOWN}.</p>`}`}
  <//>`;

/** @param {{ one: Export, onChange: () => void }} props */
function One({ one, onChange }) {
  const [isDeleting, setDeleting] = useState(false);
  const [isBusy, run] = useDoing();
  const { id, model, format, dtype, status, files, warnings } = one;
  const name = `${formatLabel(format)}${dtype ? ` · ${dtype}` : ''}`;
  /** @param {() => Promise<unknown>} action @param {string} done */
  const doing = async (action, done) => {
    await run(action, done);
    setDeleting(false);
    onChange();
  };
  return html`
    <li class="card">
      <div class="card-head">
        <h3 class="wrap">${name} <span class="small quiet">${model}</span></h3>
        <span role="status"><${Status} status=${status} /></span>
      </div>
      <${Progress} one=${one} />
      ${one.error?.message && html`<p class="note is-error">${one.error.message}</p>`}
      ${warnings.map((warning) => html`<p class="note is-warn small">${warning}</p>`)}
      ${
        status === 'succeeded' &&
        html`
        <ul class="stack-tight">
          ${files.map(
            (file) => html`
              <li class="card-head" key=${file.name}><span class="wrap">${file.name} <span class="small quiet number">${bytes(file.bytes)}</span></span>
                <${Download} path=${`/exports/${id}/files/${encodeURIComponent(file.name)}`} filename=${file.name} label="Download" what=${file.name} /></li>`,
          )}
        </ul>`
      }
      <${History} one=${one} />
      <div class="row">
        ${status === 'succeeded' && html`<${Download} isMain path=${`/exports/${id}/content`} filename=${`${id}.tar`} sizeBytes=${files.reduce((sum, file) => sum + file.bytes, 0)} label="Download all (tar)" what=${`of ${name}`} />`}
        ${
          isUnderWay(one)
            ? html`<button type="button" disabled=${isBusy} onClick=${() => doing(() => post(`/exports/${id}/cancel`), 'Cancelled the export.')}>Cancel<span class="unseen"> ${name}</span></button>`
            : html`<button type="button" class="danger" disabled=${isBusy} onClick=${() => setDeleting(true)}>Delete<span class="unseen"> ${name}</span></button>`
        }
        <span class="small quiet">${times(one)}</span>
      </div>
      ${
        isDeleting &&
        html`
        <${Confirm} title="Delete this export?" action="Delete the export" onCancel=${() => setDeleting(false)} onConfirm=${() => doing(() => remove(`/exports/${id}`), 'Deleted the export.')}>
          <p>Its files go with it. The model stays, and can be exported again.</p>
        <//>`
      }
    </li>`;
}

/** Its events, read once they are opened. @param {{ one: Export }} props */
function History({ one }) {
  const [isOpen, setOpen] = useState(false);
  const what = `${formatLabel(one.format)} of ${one.model}`;
  return html`
    <details onToggle=${(/** @type {Event} */ { currentTarget }) => setOpen(/** @type {HTMLDetailsElement} */ (currentTarget).open)}>
      <summary>Events<span class="unseen"> of ${what}</span></summary>
      ${isOpen && html`<${ExportEvents} one=${one} />`}
    </details>`;
}

/** @param {{ one: Export }} props */
function ExportEvents({ one }) {
  const { id, status } = one;
  const events = useResource(
    async (signal) => /** @type {EventPage} */ (await get(`/exports/${id}/events?limit=${EVENTS_SHOWN}`, { signal })),
    [id, status],
    { everyMs: isUnderWay(one) ? BUSY_POLL_MS : null },
  );
  return html`
    <${Resource} of=${events} rows=${2}>
      ${(/** @type {EventPage} */ { data, has_more: hasMore }) => html`
        <${EventList} events=${data} />${hasMore && html`<p class="small quiet">The newest ${EVENTS_SHOWN}.</p>`}`}
    <//>`;
}

/** @param {{ one: Export }} props */
function Progress({ one: { status, progress } }) {
  if (status === 'queued') return html`<p class="small quiet">It waits for a worker that has the base model.</p>`;
  if (status !== 'running') return null;
  if (progress === null) return html`<progress aria-label="Progress"></progress>`;
  return html`
    <div class="job-progress">
      <progress max=${progress.total_bytes} value=${progress.bytes} aria-label="Progress"></progress>
      <span class="small quiet number">${bytes(progress.bytes)} of ${bytes(progress.total_bytes)}</span>
    </div>`;
}

/** @param {Export} one */
const times = ({ created_at: created, expires_at: expires }) =>
  `asked for ${ago(created)}${expires === null ? '' : `; its files are kept until ${time(expires)}`}`;
