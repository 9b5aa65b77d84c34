import { quantity, short } from '../../lib/format.js';
import { html } from '../../lib/html.js';
import { Report } from './report.js';

/** @typedef {{ name: string, type: string, base: number, tuned: number | null, difference: number | null, ungraded: number, problem: string | null }} Score */
/** @typedef {{ step: number, examples: number, left_out: number, data: Score[] }} Scored */

/** What graders gave the answers of the model as training found it, beside the newest. @param {{ job: import('../../api/types.d.ts').Job }} props */
export const Scores = ({ job }) => html`
  <${Report} job=${job} kind="evaluations" waiting="The scores come before the first step." missing="The job ended before its model was asked.">
    ${(/** @type {Scored} */ { step, examples, left_out: leftOut, data }) => html`
      <section class="stack-tight">
        <h2>Scores</h2>
        <div class="table-box" tabindex="0" role="region" aria-label="Scores">
          <table class="number">
            <thead><tr><th scope="col">Grader</th><th scope="col">Before training</th><th scope="col">${step === 0 ? 'Tuned' : `After step ${step}`}</th><th scope="col">Difference</th><th scope="col">Not graded</th></tr></thead>
            <tbody>
              ${data.map(
                ({ name, type, base, tuned, difference, ungraded, problem }) => html`
                  <tr key=${name}>
                    <th scope="row" class="wrap">${name} <span class="small quiet">${type.replaceAll('_', ' ')}</span></th>
                    <td>${short(base)}</td><td>${tuned === null ? '–' : short(tuned)}</td>
                    <td class=${difference === null || difference === 0 ? '' : difference > 0 ? 'is-better' : 'is-worse'}>${difference === null ? '–' : `${difference > 0 ? '+' : ''}${short(difference)}`}</td>
                    <td class="wrap">${ungraded === 0 ? '' : ungraded}${problem && html` <span class="small quiet">${problem}</span>`}</td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>
        <p class="small quiet">Means over ${quantity(examples, 'example')}${leftOut > 0 ? `; ${leftOut} left out, because their prompts fill the model's context` : ''}. Each is a curve, too.</p>
      </section>`}
  <//>`;
