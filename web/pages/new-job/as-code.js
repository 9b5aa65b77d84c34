import { useState } from 'preact/hooks';
import { asCurl, asNode, asPython } from '../../lib/as-code.js';
import { html } from '../../lib/html.js';
import { serviceUrl } from '../../lib/service-url.js';
import { Code } from '../../parts/code.js';

/** @typedef {(url: string, request: any) => string} Write */

/** @type {readonly (readonly [name: string, write: Write])[]} */
const OF_JOBS = [
  ['curl', asCurl],
  ['Python', asPython],
  ['Node', asNode],
];

/** The same as a program would create it. @param {{ request: Record<string, unknown>, what?: string, languages?: readonly (readonly [string, Write])[] }} props */
export function AsCode({ request, what = 'job', languages = OF_JOBS }) {
  const [chosen, setChosen] = useState('curl');
  const write = languages.find(([name]) => name === chosen)?.[1] ?? asCurl;
  return html`
    <section class="card">
      <div class="card-head">
        <h2>The same as code</h2>
        <div class="segments" role="group" aria-label="Language">
          ${languages.map(([name]) => html`<button type="button" aria-pressed=${name === chosen} onClick=${() => setChosen(name)}>${name}</button>`)}
        </div>
      </div>
      <${Code} text=${write(serviceUrl(), request)} label=${`the ${what} in ${chosen}`} />
    </section>`;
}
