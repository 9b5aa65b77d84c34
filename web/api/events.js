import { connection, lostConnection, send, Unreachable } from './client.js';

/** @typedef {import('./types.d.ts').JobEvent} JobEvent */

const RETRY_MS = 1_000;

/**
 * Follows a job's events until it has ended; after a cut, from the last one on. A browser's EventSource cannot send the key.
 * @param {string} jobId
 * @param {{ onEvents(events: JobEvent[]): void, onEnd(): void, signal: AbortSignal }} options
 */
export async function followEvents(jobId, { onEvents, onEnd, signal }) {
  let lastId = '';
  while (!signal.aborted) {
    try {
      const response = await send(`/fine_tuning/jobs/${encodeURIComponent(jobId)}/events?stream=true`, {
        signal,
        headers: lastId === '' ? {} : { 'last-event-id': lastId },
      });
      for await (const frames of frameBatches(response)) {
        /** @type {JobEvent[]} */
        const events = frames.filter(({ data }) => data.startsWith('{')).map(({ data }) => JSON.parse(data));
        lastId = frames.findLast(({ id }) => id !== '')?.id ?? lastId;
        if (events.length > 0) onEvents(events);
        if (frames.some(({ data }) => data === '[DONE]')) return onEnd();
      }
      throw new Unreachable(); // it ended without the end mark
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Unreachable || error instanceof TypeError)) throw error;
      lostConnection();
      await recovery(signal);
    }
  }
}

/** @param {AbortSignal} signal @returns {Promise<void>} */
const recovery = (signal) =>
  new Promise((resolve) => {
    const stop = () => {
      unsubscribe();
      setTimeout(resolve, RETRY_MS);
    };
    const unsubscribe = connection.subscribe(() => connection.get().isOnline && stop());
    signal.addEventListener('abort', stop, { once: true });
  });

/** The complete frames of each piece that arrives. @param {Response} response */
export async function* frameBatches(response) {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const texts = (rest + piece.value).split('\n\n');
    rest = texts.pop() ?? '';
    yield texts.map(frame);
  }
}

/** @param {string} text */
function frame(text) {
  const field = (/** @type {string} */ name) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).replace(/^ /, ''))
      .join('\n');
  return { id: field('id'), data: field('data') };
}
