import { clock } from '../lib/format.js';
import { html } from '../lib/html.js';

/** @typedef {import('../api/types.d.ts').EventLine} EventLine */

/** @param {{ events: EventLine[] }} props */
export const EventList = ({ events }) => html`
  <ol class="events">
    ${events.map(
      ({ id, created_at: at, level, message }) => html`
        <li key=${id} class="is-${level}"><time class="small quiet number" datetime=${new Date(at * 1000).toISOString()}>${clock(at)}</time>
          <span class="wrap">${level !== 'info' && html`<span class="unseen">${level}: </span>`}${message}</span></li>`,
    )}
  </ol>`;
