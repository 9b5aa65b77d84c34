/**
 * `npm run test:faults -- [--tries 20] [--only TEXT] [--seed 1] [--logs DIR] [--write]`: injects faults into the real service while it trains, and
 * checks that no job is lost, that every adapter has the bytes of an undisturbed run, and that everything was recorded once. Prints a table and one
 * JSON line; ends with 1 if anything was lost. --only takes a row's name or a part of names, or several separated by semicolons;
 * --write replaces those rows of docs/results.md that were run.
 */
import { parseArgs } from 'node:util';
import { type RowResult, runRow } from './row.ts';
import { faults } from './rows/all.ts';
import { faultTable, writeFaults } from './table.ts';

const { values: options } = parseArgs({
  options: {
    tries: { type: 'string', default: '20' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    logs: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

const rows = options.only.split(';').flatMap((part) => {
  const named = faults.filter(({ name }) => name === part.trim());
  return named.length > 0 ? named : faults.filter(({ name }) => name.includes(part.trim()));
});
if (rows.length === 0) throw new Error(`no row is named like "${options.only}"; there are: ${faults.map(({ name }) => name).join('; ')}`);

const results: RowResult[] = [];
for (const fault of rows) {
  const startedMs = performance.now();
  console.log(`${fault.name} …`);
  const result = await runRow(fault, { tries: Number(options.tries), seed: Number(options.seed), logsDir: options.logs ?? null, print: console.log });
  results.push(result);
  if (options.write) writeFaults([result], options.seed); // at once: whoever ends a long run keeps what it measured
  console.log(`  ${result.tries} tries, ${result.lost} lost, ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
}

const shown = faultTable(results);
console.log(`\n${shown}`);
console.log(JSON.stringify({ test: 'faults', seed: Number(options.seed), results }));
process.exitCode = results.some(({ lost, wrongBytes, irregular }) => lost + wrongBytes + irregular > 0) ? 1 : 0;
