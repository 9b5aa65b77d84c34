import { send } from './client.js';

/** What a page may hold in memory. More goes straight to disk, where the browser can write there. */
const LARGE_BYTES = 50_000_000;

/** Not every browser has it, and none without https or a local address. @typedef {(options: { suggestedName: string }) => Promise<FileSystemFileHandle>} Picker */

/**
 * Saves what an address gives. A link could not: it would not carry the key, and keys do not belong in addresses.
 * @param {string} path below /v1 @param {string} filename
 * @param {{ sizeBytes?: number | undefined, onProgress: (bytes: number) => void }} options `sizeBytes`: if it is known, and the answer does not say
 * @returns {Promise<boolean>} false if the user would rather not
 */
export async function download(path, filename, { sizeBytes, onProgress }) {
  const response = await send(path);
  const size = Number(response.headers.get('content-length') ?? sizeBytes ?? Number.POSITIVE_INFINITY);
  const picker = /** @type {{ showSaveFilePicker?: Picker }} */ (/** @type {unknown} */ (globalThis)).showSaveFilePicker;
  if (response.body !== null && size > LARGE_BYTES && picker !== undefined) {
    const chosen = await picker({ suggestedName: filename }).catch((/** @type {Error} */ error) => error);
    if (!(chosen instanceof Error)) {
      await response.body.pipeThrough(counting(onProgress)).pipeTo(await chosen.createWritable());
      return true;
    }
    if (chosen.name === 'AbortError') {
      await response.body.cancel();
      return false;
    }
    // It came too late after the click to be allowed.
  }
  offer(await response.blob(), filename);
  return true;
}

/** @param {(bytes: number) => void} onProgress @returns {TransformStream<Uint8Array, Uint8Array>} */
function counting(onProgress) {
  let done = 0;
  return new TransformStream({
    transform(piece, controller) {
      done += piece.length;
      onProgress(done);
      controller.enqueue(piece);
    },
  });
}

/** @param {Blob} content @param {string} filename */
function offer(content, filename) {
  const address = URL.createObjectURL(content);
  const anchor = document.createElement('a');
  anchor.href = address;
  anchor.download = filename;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // a browser may begin late
}
