import { number, quantity, short } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { Hashes } from './proof.js';
import { Report } from './report.js';

/** @param {{ job: import('../../api/types.d.ts').Job }} props */
export const Lineage = ({ job }) => html`
  <${Report} job=${job} kind="lineage" waiting="It comes when the job delivers its files." missing="The job delivered no files.">
    ${(/** @type {any} */ lineage) => html`
      <section class="card">
        <h2>Where the files come from</h2>
        <ol class="lineage">
          <li><h3>Base model</h3><p class="wrap">${lineage.base_model.name}</p><p class="small quiet mono wrap">${lineage.base_model.sha256.slice(0, 16)}…</p></li>
          ${lineage.continued_from && html`<li><h3>Continued from</h3><p class="wrap">${lineage.continued_from.model}</p></li>`}
          <${Data} title="Training data" data=${lineage.data.training} />
          ${lineage.data.validation && html`<${Data} title="Validation data" data=${lineage.data.validation} />`}
          <li><h3>Training</h3>
            <p>${lineage.tuning.type}, seed ${lineage.seed}</p>
            <p class="small quiet">${number(lineage.step)} of ${quantity(lineage.total_steps, 'step')}</p></li>
          <li><h3>Result</h3>
            ${lineage.losses.train_loss !== null && html`<p>training loss ${short(lineage.losses.train_loss)}</p>`}
            ${lineage.losses.full_valid_loss !== null && html`<p>validation loss ${short(lineage.losses.full_valid_loss)}</p>`}</li>
        </ol>
        <dl class="pairs small">
          ${Object.entries(lineage.versions).map(([name, version]) => html`<dt>${name}</dt><dd>${version}</dd>`)}
        </dl>
        <h3>The base model's files</h3>
        <${Hashes} files=${lineage.base_model.files} />
      </section>`}
  <//>`;

/** @param {{ title: string, data: any }} props */
const Data = ({ title, data }) => html`
  <li><h3>${title}</h3>
    <p>${quantity(data.examples, 'example')}</p>
    <p class="small quiet">${quantity(data.tokens, 'token')}, ${number(data.supervised_tokens)} learned</p>
    <p class="small quiet mono wrap">${data.sha256.slice(0, 16)}…</p></li>`;
