import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { connection } from '../api/client.js';
import { announcement } from '../lib/announce.js';
import { html } from '../lib/html.js';
import { chooseTheme, signOut, theme } from '../lib/preferences.js';
import { link } from '../lib/route.js';
import { useStore } from '../lib/store.js';

const PLACES = /** @type {const} */ ([
  ['jobs', 'Jobs'],
  ['new', 'New job'],
  ['compare', 'Compare'],
  ['sweeps', 'Sweeps'],
  ['models', 'Models'],
  ['chat', 'Chat'],
  ['exports', 'Exports'],
  ['files', 'Files'],
  ['workers', 'Workers'],
]);

const THEMES = /** @type {const} */ ([
  ['auto', 'Auto'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]);

/** The address of a file that is served with this module, whatever version it is. @param {string} name */
const asset = (name) => new URL(`../${name}`, import.meta.url).href;

export const Mark = () => html`<img src=${asset('mark.svg')} alt="" width="28" height="28" />`;

/** What surrounds every page. @param {{ place: string, children?: any }} props */
export function Shell({ place, children }) {
  const { isOnline } = useStore(connection);
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <div class="shell">
      <header class="side">
        <a class="brand" href=${link('jobs')}><${Mark} />Graft</a>
        <nav aria-label="Main">
          <ul>
            ${PLACES.map(([name, label]) => html`<li><a href=${link(name)} aria-current=${name === place ? 'page' : null}>${label}</a></li>`)}
          </ul>
        </nav>
        <div class="side-end">
          <${ThemeSwitch} />
          <span class="row small"><a href="docs">API</a><button type="button" class="plain" onClick=${signOut}>Sign out</button></span>
        </div>
      </header>
      <div class="content">
        ${!isOnline && html`<div class="banner" role="alert">The service cannot be reached. Trying again; what you see may be out of date.</div>`}
        <main id="main" tabindex="-1">${children}</main>
      </div>
    </div>
    <${Announcements} />`;
}

/** A link to a place in the page would change the route. @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function ThemeSwitch() {
  const chosen = useStore(theme);
  return html`
    <div class="segments" role="group" aria-label="Colours">
      ${THEMES.map(
        ([name, label]) => html`<button type="button" aria-pressed=${name === chosen} onClick=${() => chooseTheme(name)}>${label}</button>`,
      )}
    </div>`;
}

function Announcements() {
  const { text, isError } = useStore(announcement);
  return html`<div class="toast" role=${isError ? 'alert' : 'status'} aria-live="polite">${text !== '' && html`<p class=${isError ? 'is-error' : ''}>${text}</p>`}</div>`;
}

/** The head of a page. Its title is where reading begins when a page comes. @param {{ title: string, note?: any, children?: any }} props */
export function Head({ title, note, children }) {
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    document.title = `${title} · Graft`;
  }, [title]);
  useLayoutEffect(() => {
    if (document.activeElement === document.body) heading.current?.focus({ preventScroll: true });
  }, []);
  return html`
    <div class="head">
      <div class="head-text">
        <h1 ref=${heading} tabindex="-1">${title}</h1>
        ${note && html`<div class="quiet">${note}</div>`}
      </div>
      <div class="row">${children}</div>
    </div>`;
}
