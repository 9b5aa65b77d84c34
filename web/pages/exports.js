import { useResource } from '../api/use-resource.js';
import { html } from '../lib/html.js';
import { link } from '../lib/route.js';
import { ExportForm, Exports, useExports } from '../parts/exports.js';
import { Head } from '../parts/shell.js';
import { Empty, Resource } from '../parts/state.js';
import { isTuned, loadModels } from './models.js';

/** @typedef {import('../api/types.d.ts').Model} Model */
/** @typedef {import('../api/types.d.ts').List<Model>} ModelList */

/** @param {{ model: string | null }} props the model to begin with */
export function ExportsPage({ model }) {
  const models = useResource(loadModels, []);
  const exports = useExports(null);
  return html`
    <${Head} title="Exports" note="Tuned models in the formats of other programs." />
    <${Resource} of=${models} rows=${2}>
      ${(/** @type {ModelList} */ { data }) => {
        const names = data.filter(isTuned).map(({ id }) => id);
        const first = model ?? names[0];
        return first === undefined
          ? html`<${Empty} title="There is no tuned model to export"><p>Each job that succeeds makes one.</p><a class="button primary" href=${link('new')}>Create a job</a><//>`
          : html`<${ExportForm} models=${names} first=${first} onStarted=${exports.reload} />`;
      }}
    <//>
    <section class="stack-tight"><h2>Exports</h2><${Exports} exports=${exports} none="Choose a model and a format above. A worker makes the files, and you download them here." /></section>`;
}
