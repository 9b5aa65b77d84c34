import { announce } from '../lib/announce.js';
import { html } from '../lib/html.js';

/** Text to take along. @param {{ text: string, label: string }} props */
export function Code({ text, label }) {
  const copy = async () => {
    const done = await navigator.clipboard?.writeText(text).then(
      () => true,
      () => false,
    );
    if (done) announce(`Copied: ${label}`);
    else announce('The browser does not let the page copy: select the text and copy it.', { isError: true });
  };
  return html`
    <div class="stack-tight">
      <pre class="code" tabindex="0" role="region" aria-label=${label}>${text}</pre>
      <div><button type="button" class="plain small" onClick=${copy}>Copy<span class="unseen"> ${label}</span></button></div>
    </div>`;
}
