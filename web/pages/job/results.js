import { ApiError, get } from '../../api/client.js';
import { useResource } from '../../api/use-resource.js';
import { ago, bytes, short } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { Download } from '../../parts/download.js';
import { ExportForm, Exports, useExports } from '../../parts/exports.js';
import { Empty, Resource } from '../../parts/state.js';
import { hasEnded } from '../../parts/status.js';

/** @typedef {import('../../api/types.d.ts').Job} Job */
/** @typedef {import('../../api/types.d.ts').Checkpoint} Checkpoint */
/** @typedef {import('../../api/types.d.ts').List<Checkpoint>} CheckpointList */
/** @typedef {import('../../api/types.d.ts').StoredFile} StoredFile */

const POLL_MS = 5_000;

/** @param {Job} job @param {AbortSignal} signal @returns {Promise<{ checkpoints: Checkpoint[], files: StoredFile[] }>} */
async function load(job, signal) {
  const { data: checkpoints } = /** @type {CheckpointList} */ (await get(`/fine_tuning/jobs/${job.id}/checkpoints?limit=100`, { signal }));
  const files = await Promise.all(
    job.result_files.map(async (id) => {
      try {
        return [/** @type {StoredFile} */ (await get(`/files/${id}`, { signal }))];
      } catch (error) {
        if (error instanceof ApiError) return []; // deleted since
        throw error;
      }
    }),
  );
  return { checkpoints, files: files.flat() };
}

/** Checkpoints, and what the job delivered. @param {{ job: Job }} props */
export function Results({ job }) {
  const results = useResource((signal) => load(job, signal), [job.id, job.status], { everyMs: hasEnded(job) ? null : POLL_MS });
  return html`
    <${Resource} of=${results}>
      ${(/** @type {Awaited<ReturnType<typeof load>>} */ { checkpoints, files }) =>
        checkpoints.length + files.length === 0
          ? html`<${Empty} title="Nothing to download yet"><p>${hasEnded(job) ? 'The job ended before its first checkpoint.' : 'A checkpoint comes at the end of each epoch.'}</p><//>`
          : html`
              <div class="stack">
                ${job.status === 'succeeded' && html`<${Delivered} job=${job} files=${files} />`}
                <${Checkpoints} job=${job} checkpoints=${checkpoints} />
                <${OtherFormats} job=${job} checkpoints=${checkpoints} />
              </div>`}
    <//>`;
}

/** @param {{ job: Job, files: StoredFile[] }} props */
const Delivered = ({ job, files }) => html`
  <section class="card">
    <div class="card-head"><h2>${files.some(({ filename }) => filename === 'adapter_config.json') ? 'The adapter' : 'The model'}</h2>
      <span class="row">
        <${Download} isMain path=${`/fine_tuning/jobs/${job.id}/adapter`} filename=${`${job.suffix ?? job.id}.tar`} sizeBytes=${files.reduce((sum, { bytes: size }) => sum + size, 0)} label="Download all (tar)" />
        ${job.analysis && html`<${Download} path=${`/fine_tuning/jobs/${job.id}/analysis`} filename=${`${job.id}-analysis.json`} label="What training changed (JSON)" />`}
        <a class="button" href=${`#/chat?model=${encodeURIComponent(job.fine_tuned_model ?? '')}`}>Try it</a>
      </span></div>
    <p>PEFT and transformers load it as it is.</p>
    <ul class="stack-tight">
      ${files.map(
        ({ id, filename, bytes: size }) => html`
          <li class="card-head"><span class="wrap">${filename} <span class="small quiet number">${bytes(size)}</span></span>
            <${Download} path=${`/files/${id}/content`} filename=${filename} label="Download" what=${filename} /></li>`,
      )}
    </ul>
  </section>`;

/** The job's models for other programs. @param {{ job: Job, checkpoints: Checkpoint[] }} props */
function OtherFormats({ job, checkpoints }) {
  const exports = useExports(job.id);
  const models = [job.fine_tuned_model, ...checkpoints.map(({ fine_tuned_model_checkpoint: name }) => name)].filter((name) => name !== null);
  const [first] = models;
  return html`
    <section class="stack-tight">
      <h2>For other programs</h2>
      ${first !== undefined && html`<${ExportForm} models=${models} first=${first} onStarted=${exports.reload} />`}
      <${Exports} exports=${exports} none="A worker makes the files, and you download them here." />
    </section>`;
}

/** @param {{ job: Job, checkpoints: Checkpoint[] }} props */
function Checkpoints({ job, checkpoints }) {
  const names = ['train_loss', 'full_valid_loss', 'full_valid_mean_token_accuracy'].filter((name) =>
    checkpoints.some(({ metrics }) => name in metrics),
  );
  return html`
    <section class="stack-tight">
      <h2>Checkpoints</h2>
      <div class="table-box">
        <table class="number">
          <caption class="unseen">Checkpoints, newest first</caption>
          <thead><tr><th scope="col">Step</th>${names.map((name) => html`<th scope="col">${name.replaceAll('_', ' ').replace('full valid', 'validation').replace('train ', 'training ')}</th>`)}<th scope="col">Written</th><th scope="col">Take it</th></tr></thead>
          <tbody>
            ${checkpoints.map(
              ({ id, step_number: step, created_at: at, metrics, fine_tuned_model_checkpoint: model }) => html`
                <tr key=${id}>
                  <th scope="row">${step}</th>
                  ${names.map((name) => html`<td>${metrics[name] === undefined ? '' : short(metrics[name])}</td>`)}
                  <td class="small quiet">${ago(at)}</td>
                  <td><span class="row">
                    <${Download} path=${`/fine_tuning/jobs/${job.id}/checkpoints/${step}/adapter`} filename=${`${job.suffix ?? job.id}-step-${step}.tar`} label="Download" what=${`the checkpoint of step ${step}`} />
                    <a href=${`#/chat?model=${encodeURIComponent(model)}`}>Try<span class="unseen"> the checkpoint of step ${step}</span></a>
                    <a href=${`#/new?model=${encodeURIComponent(model)}`}>Continue<span class="unseen"> from step ${step}</span></a>
                  </span></td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </section>`;
}
