import { useState } from 'preact/hooks';
import { announce } from './announce.js';

/** @returns what runs an action and announces how it ended, and whether one runs */
export function useDoing() {
  const [isBusy, setBusy] = useState(false);
  /** @param {() => Promise<unknown>} action @param {string} done */
  const doing = async (action, done) => {
    setBusy(true);
    await action().then(
      () => announce(done),
      (error) => announce(error.message, { isError: true }),
    );
    setBusy(false);
  };
  return /** @type {const} */ ([isBusy, doing]);
}
