/**
 * `npm run test:fuzz -- [--inputs 100000] [--only TEXT] [--seed 1] [--write]`: feeds each parser of outside input mutated and random inputs, in a
 * process that is ended when one of them takes too long or too much memory. Prints a table and one JSON line; ends with 1 if anything crashed, hung or grew.
 */
import { parseArgs } from 'node:util';
import { table, thisMachine, updatedTable, writeResult } from '../../bench/results-page.ts';
import { type FuzzResult, runTarget } from './run-target.ts';
import { targets } from './targets/all.ts';

/** Of each parser, on the screen; the JSON has more. */
const FINDINGS_SHOWN = 8;
/** Less is what the garbage collector and compiled code leave. */
export const GROWTH_ALLOWED_MB = 64;

const { values: options } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    write: { type: 'boolean', default: false },
  },
});

const wanted = options.only.split(',').map((part) => part.trim());
const chosen = targets.filter(({ name }) => wanted.some((part) => name.includes(part)));
if (chosen.length === 0) throw new Error(`no parser is named like "${options.only}"; there are: ${targets.map(({ name }) => name).join('; ')}`);

const results: FuzzResult[] = [];
for (const { name } of chosen) {
  const result = await runTarget(name, { inputs: Number(options.inputs), seed: Number(options.seed) });
  results.push(result);
  console.log(`${name}: ${result.inputs} inputs in ${result.seconds.toFixed(0)} s, ${result.crashes} crashes, ${result.hangs} hangs`);
  for (const { what, index, message, input } of result.findings.slice(0, FINDINGS_SHOWN)) {
    console.log(`  ${what}, input ${index}: ${message}`);
    if (input !== undefined) console.log(`    ${JSON.stringify(input)}`);
  }
}

const head = ['parser', 'inputs', 'accepted', 'crashes', 'hangs', 'messages over 16 KiB', 'growth of the heap', 'seconds'];
const rows = results.map(({ name, inputs, accepted, crashes, hangs, longMessages, growthMb, seconds }) => [
  name,
  ...[inputs, accepted, crashes, hangs, longMessages].map((count) => count.toLocaleString('en')),
  `${growthMb.toFixed(1)} MB`,
  seconds.toFixed(0),
]);
console.log(`\n${table(head, rows)}`);
if (options.write) {
  const shown = updatedTable('fuzz', { head, rows, order: targets.map(({ name }) => name) });
  writeResult('fuzz', `${shown}\n\nOn ${thisMachine()}, seed ${options.seed}.`);
}
console.log(JSON.stringify({ test: 'fuzz', seed: Number(options.seed), results }));
const isBad = ({ crashes, hangs, longMessages, growthMb }: FuzzResult) => crashes + hangs + longMessages > 0 || growthMb > GROWTH_ALLOWED_MB;
process.exitCode = results.some(isBad) ? 1 : 0;
