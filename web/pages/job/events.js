import { useState } from 'preact/hooks';
import { html } from '../../lib/html.js';
import { EventList } from '../../parts/events.js';

/** @typedef {import('../../api/types.d.ts').JobEvent} JobEvent */

const SHOWN = 300;

/** @param {{ events: JobEvent[] }} props oldest first */
export function Events({ events }) {
  const [withSteps, setWithSteps] = useState(false);
  const shown = events.filter(({ type }) => withSteps || type !== 'metrics').toReversed();
  return html`
    <section class="card" aria-labelledby="events-title">
      <div class="card-head">
        <h2 id="events-title">Events</h2>
        <label class="check small"><input type="checkbox" checked=${withSteps} onChange=${() => setWithSteps(!withSteps)} /> Also every step</label>
      </div>
      ${shown.length === 0 ? html`<p class="quiet">Nothing has happened yet.</p>` : html`<${EventList} events=${shown.slice(0, SHOWN)} />`}
      ${shown.length > SHOWN && html`<p class="small quiet">The newest ${SHOWN} of ${shown.length}.</p>`}
    </section>`;
}
