/**
 * `npm run test:soak -- [--minutes 60] [--seed 1] [--write]`: trains many small jobs on one service while random faults hit it, and samples its memory,
 * open files, connections and processes between jobs. Prints the first quarter beside the last and one JSON line; ends with 1 if anything was lost or grew.
 */
import { parseArgs } from 'node:util';
import { table, thisMachine, writeResult } from '../../bench/results-page.ts';
import { runSoak } from './soak-run.ts';
import { grows, MEASURES, type Measure, quarters, shownMeasure } from './soak-samples.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    write: { type: 'boolean', default: false },
  },
});

const { jobs, lost, faults, samples, problems, stopSeconds } = await runSoak({
  minutes: Number(options.minutes),
  seed: Number(options.seed),
  print: console.log,
});
const { first, last } = quarters(samples);
const grown = MEASURES.filter((measure) => grows(measure, first, last));
const rows = MEASURES.map((measure: Measure) => [
  measure,
  shownMeasure(measure, first[measure]),
  shownMeasure(measure, last[measure]),
  grown.includes(measure) ? 'grows' : 'flat',
]);
const summary = `${jobs} jobs in ${options.minutes} minutes under ${faults} faults: ${lost} lost. Stopped in ${stopSeconds.toFixed(1)} s, nothing left running.`;
const shown = `${summary}\n\n${table(['', 'first quarter', 'last quarter', ''], rows)}`;
console.log(`\n${shown}`);
if (options.write) writeResult('soak', `${shown}\n\nOn ${thisMachine()}, seed ${options.seed}. Medians of each quarter.`);
console.log(JSON.stringify({ test: 'soak', minutes: Number(options.minutes), jobs, lost, faults, first, last, problems }));
process.exitCode = lost > 0 || grown.length > 0 || problems.length > 0 ? 1 : 0;
