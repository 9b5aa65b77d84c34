import { bytes, number, short, time } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { Report } from './report.js';

/** @param {{ job: import('../../api/types.d.ts').Job }} props */
export const Proof = ({ job }) => html`
  <${Report} job=${job} kind="proof" waiting="It comes when the job delivers its files." missing="The job delivered no files.">
    ${(/** @type {any} */ proof) => html`
      <section class="card">
        <div class="row"><h2>The delivered files</h2><span class="pill ${proof.passed ? 'is-succeeded' : 'is-failed'}">${proof.passed ? 'proved' : 'not proved'}</span></div>
        <p>Read back from storage and loaded at ${time(proof.created_at)}, they have to give the model that was trained.</p>
        ${proof.problems.map((/** @type {string} */ problem) => html`<p class="note is-error">${problem}</p>`)}
        <dl class="facts">
          ${proof.tensors && html`<div><dt>Tensors</dt><dd>${number(proof.tensors.count)}${proof.tensors.finite ? ', all finite' : ', not all finite'}</dd></div>`}
          ${proof.effect && html`<div><dt>Largest change of a logit</dt><dd>${short(proof.effect.largest_difference)}</dd></div>`}
          ${
            proof.loss &&
            html`
              <div><dt>Loss of the trained model</dt><dd>${proof.loss.live.toFixed(5)}</dd></div>
              <div><dt>Loss of the files</dt><dd>${proof.loss.delivered.toFixed(5)}</dd></div>
              <div><dt>Difference</dt><dd>${short(proof.loss.difference)} (at most ${proof.loss.tolerance})</dd></div>`
          }
        </dl>
        <${Hashes} files=${proof.files} />
      </section>`}
  <//>`;

/** @param {{ files: { name: string, bytes?: number, sha256: string }[] }} props */
export const Hashes = ({ files }) => html`
  <div class="table-box">
    <table class="small">
      <caption class="unseen">Files with their hashes</caption>
      <thead><tr><th scope="col">File</th><th scope="col">Size</th><th scope="col">SHA-256</th></tr></thead>
      <tbody>
        ${files.map(
          ({ name, bytes: size, sha256 }) => html`
            <tr><th scope="row" class="wrap">${name}</th><td class="number">${size === undefined ? '' : bytes(size)}</td><td class="mono wrap">${sha256}</td></tr>`,
        )}
      </tbody>
    </table>
  </div>`;
