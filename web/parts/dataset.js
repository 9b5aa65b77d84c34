import { useRef, useState } from 'preact/hooks';
import { get, upload } from '../api/client.js';
import { useResource } from '../api/use-resource.js';
import { announce } from '../lib/announce.js';
import { number, quantity } from '../lib/format.js';
import { html } from '../lib/html.js';
import { Resource } from './state.js';
import { Status } from './status.js';

/** @typedef {import('../api/types.d.ts').StoredFile} StoredFile */
/** @typedef {import('../api/types.d.ts').FileValidation} FileValidation */
/** @typedef {import('../api/types.d.ts').FileProblem} FileProblem */

const ACCEPTED = '.jsonl,.csv,.parquet,application/jsonl,text/csv';
const POLL_MS = 700;

/** Where a dataset is dropped, or chosen by its button. @param {{ label: string, onUploaded: (file: StoredFile) => void }} props */
export function DropZone({ label, onUploaded }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [isOver, setOver] = useState(false);
  const [sending, setSending] = useState(/** @type {{ name: string, share: number } | null} */ (null));
  const [problem, setProblem] = useState('');

  /** @param {File | undefined} file */
  const take = async (file) => {
    if (file === undefined) return;
    setProblem('');
    setSending({ name: file.name, share: 0 });
    try {
      const stored = await upload(file, (share) => setSending({ name: file.name, share }));
      announce(`Uploaded ${file.name}.`);
      onUploaded(stored);
    } catch (error) {
      setProblem(/** @type {Error} */ (error).message);
    }
    setSending(null);
    if (input.current !== null) input.current.value = '';
  };
  /** @param {DragEvent} event */
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    void take(event.dataTransfer?.files[0]);
  };
  return html`
    <div class="drop ${isOver ? 'is-over' : ''}" onDrop=${drop} onDragLeave=${() => setOver(false)}
      onDragOver=${(/** @type {DragEvent} */ event) => {
        event.preventDefault();
        setOver(true);
      }}>
      ${
        sending === null
          ? html`
            <p>Drop a file here, or <button type="button" onClick=${() => input.current?.click()}>choose ${label}</button></p>
            <p class="small quiet">JSON Lines with chat messages, with prompt and completion, or with two answers of which one is better; CSV and Parquet work as well. At most 512 MB.</p>`
          : html`<p role="status">Uploading ${sending.name}: ${Math.round(100 * sending.share)} %</p><progress max="1" value=${sending.share} aria-label="Upload"></progress>`
      }
      ${problem && html`<p class="note is-error" role="alert">${problem}</p>`}
      <input ref=${input} class="unseen" type="file" tabindex="-1" aria-label=${label} accept=${ACCEPTED}
        onChange=${(/** @type {any} */ event) => take(event.currentTarget.files?.[0])} />
    </div>`;
}

/** What the validator found in a dataset, by line. @param {{ id: string, problemOf?: (found: FileValidation) => string }} props `problemOf`: what else is wrong with it, for whoever shows it */
export function Findings({ id, problemOf = () => '' }) {
  const validation = useResource(
    async (signal) => {
      const found = /** @type {FileValidation} */ (await get(`/files/${encodeURIComponent(id)}/validation`, { signal }));
      if (found.status === 'uploaded') setTimeout(validation.reload, POLL_MS);
      return found;
    },
    [id],
  );
  return html`<${Resource} of=${validation} rows=${1}>${(/** @type {FileValidation} */ found) => html`<${Found} found=${found} problem=${problemOf(found)} />`}<//>`;
}

/** @param {{ found: FileValidation, problem: string }} props */
const Found = ({ found, problem }) => html`
  <div class="stack-tight" role="status">
    <div class="row"><${Status} status=${found.status} />${found.examples !== null && html`<span>${counts(found)}</span>`}</div>
    ${problem && html`<p class="note is-warn">${problem}</p>`}
    ${found.warnings.map((warning) => html`<p class="note is-warn small">${warning}</p>`)}
    ${
      found.problems.length > 0 &&
      html`
      <p>${quantity(found.problem_count ?? 0, 'problem')}${(found.problem_count ?? 0) > found.problems.length ? `; the first ${found.problems.length}:` : ':'}</p>
      <ol class="problems" tabindex="0" aria-label="Problems by line">
        ${found.problems.map((problem) => html`<li><span class="quiet number">${placeOf(problem)}</span><span class="wrap">${problem.problem.replace(/^line \d+[,:]? ?/, '')}${problem.hint && html` <span class="quiet">${problem.hint}</span>`}</span></li>`)}
      </ol>`
    }
  </div>`;

/** @param {FileValidation} found */
function counts({ lines, examples }) {
  const kinds = Object.entries(examples ?? {}).filter(([, amount]) => amount > 0);
  return `${quantity(lines ?? 0, 'line')}: ${kinds.map(([kind, amount]) => `${number(amount)} ${kind}`).join(', ') || 'no examples'}`;
}

/** @param {FileProblem} problem */
const placeOf = ({ line, row }) => (row !== null ? `row ${row}` : line !== null ? `line ${line}` : 'file');
