import { useState } from 'preact/hooks';
import { get, remove } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { announce } from '../lib/announce.js';
import { ago, bytes, time } from '../lib/format.js';
import { html } from '../lib/html.js';
import { go, link } from '../lib/route.js';
import { Confirm } from '../parts/confirm.js';
import { DropZone, Findings } from '../parts/dataset.js';
import { Download } from '../parts/download.js';
import { Head } from '../parts/shell.js';
import { Empty, Resource } from '../parts/state.js';
import { Status } from '../parts/status.js';

/** @typedef {import('../api/types.d.ts').StoredFile} StoredFile */
/** @typedef {import('../api/types.d.ts').List<StoredFile>} FileList */

const SHOWN = 200;
const POLL_MS = 10_000;

/** @param {{ id: string | null }} props */
export const FilesPage = ({ id }) => (id === null ? html`<${AllFiles} />` : html`<${OneFile} id=${id} />`);

function AllFiles() {
  const files = useResource((signal) => /** @type {Promise<FileList>} */ (get(`/files?limit=${SHOWN}`, { signal })), [], { everyMs: POLL_MS });
  return html`
    <${Head} title="Files" note="Datasets, and what jobs delivered." />
    <${DropZone} label="a dataset" onUploaded=${(/** @type {StoredFile} */ file) => go(link('files', file.id))} />
    <${Resource} of=${files}>
      ${(/** @type {FileList} */ { data, has_more: hasMore }) =>
        data.length === 0
          ? html`<${Empty} title="No files yet"><p>Drop a dataset above. It is read at once, and you see by line what is wrong with it.</p><//>`
          : html`
              <div class="table-box">
                <table class="cards">
                  <caption class="unseen">Files, newest first</caption>
                  <thead><tr><th scope="col">Name</th><th scope="col">Purpose</th><th scope="col">State</th><th scope="col">Size</th><th scope="col">Uploaded</th></tr></thead>
                  <tbody>
                    ${data.map(
                      (file) => html`
                        <tr key=${file.id}>
                          <th scope="row" class="wide wrap"><a href=${link('files', file.id)}>${file.filename}</a></th>
                          <td>${file.purpose}</td><td><${Status} status=${file.status} /></td>
                          <td class="number">${bytes(file.bytes)}</td><td class="small quiet">${ago(file.created_at)}</td>
                        </tr>`,
                    )}
                  </tbody>
                </table>
              </div>
              ${hasMore && html`<p class="quiet">These are the newest ${SHOWN}.</p>`}`}
    <//>`;
}

/** @param {{ id: string }} props */
function OneFile({ id }) {
  const file = useResource((signal) => /** @type {Promise<StoredFile>} */ (get(`/files/${encodeURIComponent(id)}`, { signal })), [id]);
  const [isDeleting, setDeleting] = useState(false);
  const confirmed = async () => {
    await remove(`/files/${encodeURIComponent(id)}`).then(
      () => {
        announce('Deleted the file.');
        go(link('files'));
      },
      (error) => announce(error.message, { isError: true }),
    );
    setDeleting(false);
  };
  if (file.data === null) return html`<${Head} title="File" note=${id} /><${Resource} of=${file}>${() => null}<//>`;
  const { filename, purpose, status, bytes: size, created_at: at } = file.data;
  return html`
    <${Head} title=${filename} note=${html`<code class="wrap">${id}</code>`}>
      ${purpose === 'fine-tune' && status !== 'error' && html`<a class="button primary" href=${`#/new?file=${id}`}>Train on it</a>`}
      <${Download} path=${`/files/${id}/content`} filename=${filename} label="Download" />
      <button type="button" class="danger" onClick=${() => setDeleting(true)}>Delete</button>
    <//>
    <section class="card">
      <dl class="facts"><div><dt>Purpose</dt><dd>${purpose}</dd></div><div><dt>Size</dt><dd>${bytes(size)}</dd></div><div><dt>Uploaded</dt><dd>${time(at)}</dd></div></dl>
    </section>
    ${purpose === 'fine-tune' && html`<section class="card"><h2>What was found in it</h2><${Findings} id=${id} /></section>`}
    ${isDeleting && html`<${Confirm} title="Delete this file?" action="Delete the file" onConfirm=${confirmed} onCancel=${() => setDeleting(false)}><p>A job that already uses it still finishes.</p><//>`}`;
}
