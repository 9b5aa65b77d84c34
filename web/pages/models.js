import { useState } from 'preact/hooks';
import { get, remove } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { announce } from '../lib/announce.js';
import { ago, bytes, count } from '../lib/format.js';
import { html } from '../lib/html.js';
import { link } from '../lib/route.js';
import { Confirm } from '../parts/confirm.js';
import { Head } from '../parts/shell.js';
import { Empty, Resource } from '../parts/state.js';

/** @typedef {import('../api/types.d.ts').Model} Model */
/** @typedef {import('../api/types.d.ts').List<Model>} ModelList */

const POLL_MS = 15_000;

/** @param {AbortSignal} signal @returns {Promise<ModelList>} */
export const loadModels = (signal) => get('/models?limit=1000', { signal });

/** @param {Model} model */
export const isTuned = ({ base_model: base }) => base !== undefined;

export function ModelsPage() {
  const models = useResource(loadModels, [], { everyMs: POLL_MS });
  return html`
    <${Head} title="Models" note="Base models that the workers have, and those that your jobs made." />
    <${Resource} of=${models}>
      ${(/** @type {ModelList} */ { data }) => html`
        <section class="stack-tight"><h2>Tuned models</h2><${Tuned} models=${data.filter(isTuned)} onChange=${models.reload} /></section>
        <section class="stack-tight"><h2>Base models</h2><${Bases} models=${data.filter((model) => !isTuned(model))} /></section>`}
    <//>`;
}

/** @param {{ models: Model[], onChange: () => void }} props */
function Tuned({ models, onChange }) {
  const [deleting, setDeleting] = useState(/** @type {string | null} */ (null));
  if (models.length === 0)
    return html`<${Empty} title="No tuned models yet"><p>Each job that succeeds makes one.</p><a class="button primary" href=${link('new')}>Create a job</a><//>`;
  const confirmed = async () => {
    await remove(`/models/${encodeURIComponent(deleting ?? '')}`).then(
      () => announce('Deleted the model.'),
      (error) => announce(error.message, { isError: true }),
    );
    setDeleting(null);
    onChange();
  };
  return html`
    <div class="table-box">
      <table class="cards">
        <caption class="unseen">Tuned models, newest first</caption>
        <thead><tr><th scope="col">Name</th><th scope="col">Method</th><th scope="col">Made</th><th scope="col">Use it</th></tr></thead>
        <tbody>
          ${models.map(
            ({ id, tuning_type: method, created, job_id: job }) => html`
              <tr key=${id}>
                <th scope="row" class="wide wrap"><a href=${link('jobs', job ?? '')}>${id}</a></th>
                <td>${method}</td><td class="small quiet">${ago(created)}</td>
                <td class="wide"><span class="row">
                  <a href=${`#/chat?model=${encodeURIComponent(id)}`}>Chat<span class="unseen"> with ${id}</span></a>
                  <a href=${`#/new?model=${encodeURIComponent(id)}`}>Continue<span class="unseen"> the training of ${id}</span></a>
                  <a href=${`#/exports?model=${encodeURIComponent(id)}`}>Export<span class="unseen"> ${id}</span></a>
                  <button type="button" class="plain danger" onClick=${() => setDeleting(id)}>Delete<span class="unseen"> ${id}</span></button>
                </span></td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${
      deleting !== null &&
      html`<${Confirm} title="Delete this model?" action="Delete the model" onConfirm=${confirmed} onCancel=${() => setDeleting(null)}>
        <p class="wrap"><code>${deleting}</code> goes with all checkpoints and result files of its job. The job stays, with its events and reports.</p><//>`
    }`;
}

/** @param {{ models: Model[] }} props */
const Bases = ({ models }) =>
  models.length === 0
    ? html`<${Empty} title="No base models"><p>No worker is running, or none has a model. Put a Hugging Face directory into <code>MODELS_DIR</code>, or allow downloads with <code>ALLOW_MODEL_DOWNLOAD</code>.</p><//>`
    : html`
        <div class="table-box">
          <table class="cards">
            <caption class="unseen">Base models by name</caption>
            <thead><tr><th scope="col">Name</th><th scope="col">Family</th><th scope="col">Parameters</th><th scope="col">On disk</th><th scope="col">Use it</th></tr></thead>
            <tbody>
              ${models.map(
                ({ id, family, parameters, size_bytes: size, tuning_types: types }) => html`
                  <tr key=${id}>
                    <th scope="row" class="wide wrap">${id}</th>
                    <td>${family}</td><td class="number">${parameters === undefined ? '–' : count(parameters)}</td>
                    <td class="number">${size === undefined ? '–' : bytes(size)}</td>
                    <td><span class="row">
                      ${types?.length === 0 ? html`<span class="quiet">not supported</span>` : html`<a href=${`#/new?model=${encodeURIComponent(id)}`}>Tune<span class="unseen"> ${id}</span></a>`}
                      <a href=${`#/chat?model=${encodeURIComponent(id)}`}>Chat<span class="unseen"> with ${id}</span></a>
                    </span></td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>`;
