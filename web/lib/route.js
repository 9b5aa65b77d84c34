import { createStore } from './store.js';

/** Pages have addresses after the `#`, so that the service needs one page alone, whatever path a proxy gives it. */

/** @typedef {{ path: string[], query: URLSearchParams }} Route */

/** @returns {Route} */
function read() {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return { path: path.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route = createStore(read());
addEventListener('hashchange', () => route.set(read()));

/** @param {...string} parts */
export const link = (...parts) => `#/${parts.map(encodeURIComponent).join('/')}`;

/** @param {string} hash */
export const go = (hash) => {
  location.hash = hash;
};
