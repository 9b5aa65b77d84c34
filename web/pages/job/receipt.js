import { number, quantity } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { Report } from './report.js';

/** @param {{ job: import('../../api/types.d.ts').Job }} props */
export const Receipt = ({ job }) => html`
  <${Report} job=${job} kind="receipt" waiting="It comes when the files have been read." missing="The job ended before its files had been read.">
    ${(/** @type {any} */ receipt) => html`
      <div class="stack">
        <p>What training sees of the files. The model learns to write the <span class="learned">underlined</span> text; the rest it only reads.</p>
        <${FileReceipt} title="Training file" file=${receipt.training} />
        ${receipt.validation && html`<${FileReceipt} title="Validation file" file=${receipt.validation} />`}
        ${receipt.overlap > 0 && html`<p class="note is-warn">${quantity(receipt.overlap, 'validation example')} are also in the training file.</p>`}
      </div>`}
  <//>`;

/** @param {{ title: string, file: any }} props */
const FileReceipt = ({ title, file }) => html`
  <section class="card">
    <h2>${title}</h2>
    <dl class="facts">
      <div><dt>Examples</dt><dd>${number(file.examples)} of ${number(file.lines)}</dd></div>
      <div><dt>Tokens</dt><dd>${number(file.tokens)}</dd></div>
      <div><dt>Learned</dt><dd>${number(file.supervised_tokens)} (${share(file.supervised_tokens, file.tokens)})</dd></div>
      ${file.teacher_tokens !== undefined && html`<div><dt>With a teacher</dt><dd>${number(file.teacher_tokens)} (${share(file.teacher_tokens, file.supervised_tokens)} of learned)</dd></div>`}
      <div><dt>Longest example</dt><dd>${quantity(file.longest.tokens, 'token')}, line ${file.longest.line}</dd></div>
      <div><dt>Truncated</dt><dd>${number(file.too_long.truncated)}</dd></div>
      <div><dt>Dropped</dt><dd>${number(file.too_long.dropped + file.nothing_to_learn.examples)}</dd></div>
      <div><dt>Repeated</dt><dd>${number(file.duplicates)}</dd></div>
    </dl>
    ${
      file.samples.length === 0
        ? html`<p class="quiet">There are no examples to show: the file has been deleted.</p>`
        : html`
          <h3>The first examples, as the model reads them</h3>
          ${file.samples.map(
            (/** @type {any} */ sample) => html`
              <div class="stack-tight">
                <p class="small quiet">Line ${sample.line}: ${quantity(sample.tokens, 'token')}, ${number(sample.supervised_tokens)} learned${sample.shown_tokens < sample.tokens ? `; the first ${sample.shown_tokens} are shown` : ''}</p>
                <p class="receipt">${sample.spans.map((/** @type {any} */ { text, supervised }) => (supervised ? html`<mark>${text}</mark>` : text))}</p>
              </div>`,
          )}`
    }
  </section>`;

/** @param {number} part @param {number} whole */
const share = (part, whole) => (whole === 0 ? '0 %' : `${Math.round((100 * part) / whole)} %`);
