/**
 * `npm run report:claims [-- --model DIR --data FILE --quick --folder DIR]`: trains the same task by full fine-tuning, LoRA at several ranks and each other
 * method, and writes docs/claims.md with its plots: which of the claims that LoRA rests on hold here. An hour on 2 cores. What has been computed stays
 * in the folder, so that a report that was interrupted repeats nothing. With --model or --data the page is written into the folder, as it is with --quick, which only
 * shows that the page can be made.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readModelConfig } from '../workers/engine/model/weights.ts';
import { kindsOfChange } from './claims/change-of-full.ts';
import { PLOTS, type Plot, page } from './claims/page.ts';
import { accuracyPlot, energyPlot, forgettingPlot, overlapPlot, spectrumPlot } from './claims/plots.ts';
import { Results } from './claims/results.ts';
import { planOf, QUICK, WHOLE } from './claims/rows.ts';
import { measureAll } from './claims/runs.ts';
import { makeTask } from './claims/task.ts';
import { verdicts } from './claims/verdicts.ts';

const ROOT = join(import.meta.dirname, '..');

const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    data: { type: 'string' },
    quick: { type: 'boolean', default: false },
    folder: { type: 'string' },
  },
});

async function main(): Promise<void> {
  const { model, data, quick } = options;
  const temporary = quick && options.folder === undefined;
  const folder = temporary ? mkdtempSync(join(tmpdir(), 'graft-claims-')) : resolve(options.folder ?? join(ROOT, 'out/claims'));
  try {
    const extent = quick ? QUICK : WHOLE;
    const results = new Results(folder);
    const task = await makeTask(folder, { model, data }, extent);
    const { rows, impossible } = planOf(extent, readModelConfig(task.modelDir));
    const measured = measureAll(rows, { task, extent, results });
    const kinds = kindsOfChange(measured.rows[0]!);
    const plots: Record<Plot, string> = {
      accuracy: accuracyPlot(measured.rows, measured.base.accuracy),
      forgetting: forgettingPlot(measured.rows),
      spectrum: spectrumPlot(kinds),
      energy: energyPlot(kinds),
      overlap: overlapPlot(measured.rows),
    };
    const found = verdicts(measured, kinds);
    const text = page({ about: task.about, isGraftTiny: task.general !== null, extent, measured, kinds, verdicts: found, impossible });
    requireWhole(text, plots);
    const docs = quick || model !== undefined || data !== undefined ? folder : join(ROOT, 'docs');
    mkdirSync(join(docs, 'claims'), { recursive: true });
    for (const plot of PLOTS) writeFileSync(join(docs, 'claims', `${plot}.svg`), plots[plot]);
    writeFileSync(join(docs, 'claims.md'), text);
    for (const { claim, held, figures } of found) console.log(`${held}: ${claim} (${figures})`);
    console.log(`${join(docs, 'claims.md')}: ${readFileSync(join(docs, 'claims.md')).length} bytes, ${PLOTS.length} plots`);
  } finally {
    if (temporary) rmSync(folder, { recursive: true, force: true });
  }
}

/** @throws Error for a value that is not a finite number, and for a plot without its lines or points */
function requireWhole(text: string, plots: Record<Plot, string>): void {
  for (const [name, content] of Object.entries({ 'the page': text, ...plots })) {
    if (/\b(NaN|undefined|Infinity)\b/.test(content)) throw new Error(`${name} has a value that is no number`);
  }
  for (const plot of PLOTS) if ((plots[plot].match(/<path/g) ?? []).length < 10) throw new Error(`the plot "${plot}" is empty`);
}

await main();
