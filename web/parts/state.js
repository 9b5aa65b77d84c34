import { html } from '../lib/html.js';

/** While something is read for the first time. @param {{ rows: number }} props */
const Loading = ({ rows }) => html`
  <div class="stack-tight" role="status">
    <span class="unseen">Loading …</span>
    ${Array.from({ length: rows }, () => html`<div class="skeleton"></div>`)}
  </div>`;

/** @param {{ error: Error, onRetry: () => void }} props */
const Failure = ({ error, onRetry }) => html`
  <div class="note is-error stack-tight" role="alert">
    <p>${error.message}</p>
    <div><button type="button" onClick=${onRetry}>Try again</button></div>
  </div>`;

/** Where there is nothing yet: why, and what to do. @param {{ title: string, children?: any }} props */
export const Empty = ({ title, children }) => html`
  <div class="state">
    <h2>${title}</h2>
    ${children}
  </div>`;

/**
 * What a resource is at the moment: loading, failed, or what `children` makes of it.
 * @template T
 * @param {{ of: { data: T | null, error: Error | null, reload: () => void }, rows?: number, children: (data: T) => any }} props
 */
export function Resource({ of: { data, error, reload }, rows = 4, children }) {
  if (data === null) return error === null ? html`<${Loading} rows=${rows} />` : html`<${Failure} error=${error} onRetry=${reload} />`;
  return html`${error && html`<${Failure} error=${error} onRetry=${reload} />`}${children(data)}`;
}
