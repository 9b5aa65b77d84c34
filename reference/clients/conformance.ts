/** The table of what each client can do, made of what each of its rows did. */
import { table } from '../../bench/results-page.ts';
import type { ClientRun, Outcome } from './run-client.ts';

interface Cell {
  shown: string;
  /** Why the test fails; null: it does not. */
  failure: string | null;
}

export interface Conformance {
  markdown: string;
  failures: string[];
  passed: number;
}

const ABSENT: Cell = { shown: '–', failure: null };

function cellOf({ method, circumstance, problem }: Outcome, client: string): Cell {
  return problem === null ? { shown: '✓', failure: null } : { shown: '✗', failure: `${client}: ${method} ${circumstance}: ${problem}` };
}

/** A method without a row, which would otherwise be skipped in silence. */
function missingRows({ name, methods, outcomes }: ClientRun): string[] {
  const covers = (row: string, method: string) =>
    row.endsWith('.*') ? method.startsWith(row.slice(0, -1)) && !method.slice(row.length - 1).includes('.') : row === method;
  const rows = new Set(outcomes.map(({ method }) => method));
  return methods.filter((method) => ![...rows].some((row) => covers(row, method))).map((method) => `${name}: ${method} has no row`);
}

export function conformanceOf(runs: readonly ClientRun[]): Conformance {
  const keyOf = ({ method, circumstance }: Outcome) => `${method}\n${circumstance}`;
  const keys = [...new Set(runs.flatMap(({ outcomes }) => outcomes.map(keyOf)))].sort((a, b) => {
    const [left = '', right = ''] = [a.split('\n')[0], b.split('\n')[0]];
    return order(left) - order(right) || left.localeCompare(right);
  });
  const cells: Cell[] = [];
  const rows = keys.map((key) => {
    const [method = '', circumstance = ''] = key.split('\n');
    const row = runs.map(({ name, outcomes }) => {
      const outcome = outcomes.find((found) => keyOf(found) === key);
      return outcome === undefined ? ABSENT : cellOf(outcome, name);
    });
    cells.push(...row);
    return [`\`${method}\``, circumstance, ...row.map(({ shown }) => shown)];
  });
  return {
    markdown: table(['method', 'circumstance', ...runs.map(({ name }) => name)], rows),
    failures: [...cells.flatMap(({ failure }) => failure ?? []), ...runs.flatMap(missingRows)],
    passed: cells.filter(({ shown }) => shown === '✓').length,
  };
}

/** What every user needs comes first, what administrators need and what is not served comes last. */
const ORDER = [
  'files',
  'uploads',
  'fineTuning.jobs',
  'models',
  'chat',
  'completions',
  'responses',
  'fineTuning.checkpoints',
  'fineTuning.alpha',
  'webhooks',
  'any',
  'admin',
];

function order(method: string): number {
  const index = ORDER.findIndex((prefix) => method.startsWith(prefix));
  return (index === -1 ? ORDER.length : index) * 2 + (method.endsWith('*') ? 1 : 0);
}
