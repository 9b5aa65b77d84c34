import { html } from '../../lib/html.js';
import { Empty } from '../../parts/state.js';

/** @param {{ events: import('../../api/types.d.ts').JobEvent[] }} props */
export function Samples({ events }) {
  const answers = events.filter(({ type }) => type === 'sample');
  return html`<${Empty} title="No samples"><p>Answers of the model while it learns: name <code>sample_prompts</code> when you create a job. ${answers.length}</p><//>`;
}
