import { quantity } from '../../src/formats/quantity.ts';
import { type Paint, safe } from '../terminal/text.ts';
import type { FileValidation } from '../types.ts';

/** How many problems are shown; `--json` has them all. */
const PROBLEMS_SHOWN = 10;

/** What was found in a dataset. */
export function validationText(name: string, { lines, examples, problem_count: count, problems, warnings }: FileValidation, paint: Paint): string {
  const forms = Object.entries(examples ?? {}).filter(([, number]) => number > 0);
  const counted = forms.map(([form, number]) => `${number.toLocaleString('en')} ${form}`).join(', ') || 'no examples';
  const isGood = (count ?? 0) === 0;
  const text = [
    `${isGood ? paint('green', '✓') : paint('red', '✗')} ${safe(name)}: ${quantity(lines ?? 0, 'line')}, ${counted}${isGood ? '' : `, ${quantity(count!, 'problem')}`}`,
  ];
  for (const { problem, hint } of problems.slice(0, PROBLEMS_SHOWN))
    text.push(`    ${safe(problem)}${hint === null ? '' : `. ${paint('dim', safe(hint))}`}`);
  if ((count ?? 0) > PROBLEMS_SHOWN) text.push(paint('dim', `    and ${quantity(count! - PROBLEMS_SHOWN, 'more problem')}`));
  for (const warning of warnings) text.push(`  ${paint('yellow', '!')} ${safe(warning)}`);
  return text.join('\n');
}
