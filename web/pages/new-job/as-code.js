import { useState } from 'preact/hooks';
import { asCurl, asNode, asPython } from '../../lib/as-code.js';
import { html } from '../../lib/html.js';
import { serviceUrl } from '../../lib/service-url.js';
import { Code } from '../../parts/code.js';

const LANGUAGES = /** @type {const} */ ([
  ['curl', asCurl],
  ['Python', asPython],
  ['Node', asNode],
]);

/** The same job as a program would create it. @param {{ request: Record<string, unknown> }} props */
export function AsCode({ request }) {
  const [chosen, setChosen] = useState('curl');
  const write = LANGUAGES.find(([name]) => name === chosen)?.[1] ?? asCurl;
  return html`
    <section class="card">
      <div class="card-head">
        <h2>The same as code</h2>
        <div class="segments" role="group" aria-label="Language">
          ${LANGUAGES.map(([name]) => html`<button type="button" aria-pressed=${name === chosen} onClick=${() => setChosen(name)}>${name}</button>`)}
        </div>
      </div>
      <${Code} text=${write(serviceUrl(), request)} label=${`the job in ${chosen}`} />
    </section>`;
}
