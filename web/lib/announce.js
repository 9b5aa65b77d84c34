import { createStore } from './store.js';

/** What screen readers say at once, and everybody sees for a moment. */
export const announcement = createStore({ text: '', isError: false, at: 0 });

const SHOWN_MS = 6_000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** @param {string} text @param {{ isError?: boolean }} [options] */
export function announce(text, { isError = false } = {}) {
  announcement.set({ text, isError, at: Date.now() });
  clearTimeout(timer);
  timer = setTimeout(() => announcement.set({ text: '', isError: false, at: 0 }), SHOWN_MS);
}
