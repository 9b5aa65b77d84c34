import { useState } from 'preact/hooks';
import { download } from '../api/download.js';
import { announce } from '../lib/announce.js';
import { bytes } from '../lib/format.js';
import { html } from '../lib/html.js';

/** Saves a file that needs the key. @param {{ path: string, filename: string, sizeBytes?: number, label: string, what?: string, isMain?: boolean }} props */
export function Download({ path, filename, sizeBytes, label, what, isMain = false }) {
  const [progress, setProgress] = useState(/** @type {string | null} */ (null));
  const start = async () => {
    setProgress('Downloading …');
    announce(`Downloading ${filename} …`);
    await download(path, filename, { sizeBytes, onProgress: (done) => setProgress(`Downloading … ${bytes(done)}`) }).then(
      (isSaved) => announce(isSaved ? `Downloaded ${filename}.` : 'Nothing was downloaded.'),
      (error) => announce(error.message, { isError: true }),
    );
    setProgress(null);
  };
  return html`<button type="button" class=${isMain ? 'primary' : ''} disabled=${progress !== null} onClick=${start}>${progress ?? label}${what && html`<span class="unseen"> ${what}</span>`}</button>`;
}
