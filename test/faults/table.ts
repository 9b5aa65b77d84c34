/** The table of faults, on the screen and in docs/results.md. */
import { median } from '../../bench/measures.ts';
import { readResult, table, thisMachine, writeResult } from '../../bench/results-page.ts';
import type { RowResult } from './row.ts';
import { faults } from './rows/all.ts';

const HEAD = ['fault', 'tries', 'lost', 'wrong bytes', 'missing or doubled', 'continues after (median)', 'worst'];

export const faultTable = (results: readonly RowResult[]): string => table(HEAD, results.map(cells));

function cells({ name, tries, lost, wrongBytes, irregular, continuedAfterSeconds }: RowResult): string[] {
  const seconds = (pick: (values: readonly number[]) => number) =>
    continuedAfterSeconds.length === 0 ? '–' : `${pick(continuedAfterSeconds).toFixed(1)} s`;
  return [name, ...[tries, lost, wrongBytes, irregular].map(String), seconds(median), seconds((values) => Math.max(...values))];
}

/** Replaces the rows that were run, and keeps the others: all of them take hours. */
export function writeFaults(results: readonly RowResult[], seed: string): void {
  const rows = new Map(
    readResult('faults')
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => line.slice(2, -2).split(' | '))
      .map((row) => [row[0] ?? '', row]),
  );
  for (const result of results) rows.set(result.name, cells(result));
  const ofFaults = faults.map(({ name }) => rows.get(name)).filter((row) => row !== undefined);
  writeResult('faults', `${table(HEAD, ofFaults)}\n\nOn ${thisMachine()}, seed ${seed}.`);
}
