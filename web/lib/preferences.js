import { createStore } from './store.js';

const KEY = 'graft-key';
const THEME = 'graft-theme';

/** Storage may be forbidden, and then choices last as long as the page. @param {() => T} use @template T @returns {T | null} */
function allowed(use) {
  try {
    return use();
  } catch {
    return null;
  }
}

/** The API key: for this tab, or on this device if the user says so. */
export const apiKey = createStore(allowed(() => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY)));

/** @param {string} key @param {boolean} remembers */
export function signIn(key, remembers) {
  allowed(() => (remembers ? localStorage : sessionStorage).setItem(KEY, key));
  apiKey.set(key);
}

export function signOut() {
  allowed(() => sessionStorage.removeItem(KEY));
  allowed(() => localStorage.removeItem(KEY));
  apiKey.set(null);
}

/** @typedef {'auto' | 'light' | 'dark'} Theme */

export const theme = createStore(/** @type {Theme} */ (allowed(() => localStorage.getItem(THEME)) ?? 'auto'));

const show = () => {
  if (theme.get() === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme.get();
};
show();

/** @param {Theme} chosen */
export function chooseTheme(chosen) {
  allowed(() => localStorage.setItem(THEME, chosen));
  theme.set(chosen);
  show();
}
