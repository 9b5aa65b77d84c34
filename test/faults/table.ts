/** The table of faults, on the screen and in docs/results.md. */
import { loadavg } from 'node:os';
import { median } from '../../bench/measures.ts';
import { table, thisMachine, updatedTable, writeResult } from '../../bench/results-page.ts';
import type { RowResult } from './row.ts';
import { faults } from './rows/all.ts';

const HEAD = ['fault', 'tries', 'lost', 'wrong bytes', 'missing or doubled', 'continues after (median)', 'worst'];

export const faultTable = (results: readonly RowResult[]): string => table(HEAD, results.map(cells));

function cells({ name, tries, lost, wrongBytes, irregular, continuedAfterSeconds }: RowResult): string[] {
  const seconds = (pick: (values: readonly number[]) => number) =>
    continuedAfterSeconds.length === 0 ? '–' : `${pick(continuedAfterSeconds).toFixed(1)} s`;
  return [name, ...[tries, lost, wrongBytes, irregular].map(String), seconds(median), seconds((values) => Math.max(...values))];
}

/** Replaces the rows that were run, and keeps the others. */
export function writeFaults(results: readonly RowResult[], seed: string): void {
  const shown = updatedTable('faults', { head: HEAD, rows: results.map(cells), order: faults.map(({ name }) => name) });
  writeResult(
    'faults',
    `${shown}\n\nOn ${thisMachine()}, seed ${seed}; the load of the machine was ${loadavg()[1]!.toFixed(0)} when the last row ended.`,
  );
}
