/** Prints a profile as tables: by operation, by part of a block, by block. */
import type { TimedOperation } from '../workers/engine/compiled/session/profile.ts';

const SHOWN = 24;

export function printProfile(timed: readonly TimedOperation[]): void {
  print('operation', timed, ({ op }) => op);
  print('part', timed, ({ scope, op, flops }) => `${scope.replace(/\.\d+\./, '.*.') || 'elsewhere'} ${flops > 0 ? 'products' : op}`);
  print('block', timed, ({ scope }) => /^.*?\.\d+(?=\.)/.exec(scope)?.[0] ?? (scope || 'elsewhere'));
}

function print(what: string, timed: readonly TimedOperation[], key: (operation: TimedOperation) => string): void {
  const rows = new Map<string, { count: number; milliseconds: number; flops: number }>();
  for (const operation of timed) {
    const row = rows.get(key(operation)) ?? { count: 0, milliseconds: 0, flops: 0 };
    rows.set(key(operation), { count: row.count + 1, milliseconds: row.milliseconds + operation.milliseconds, flops: row.flops + operation.flops });
  }
  const total = timed.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  console.error(`\nby ${what}`.padEnd(62), 'count'.padStart(6), 'ms'.padStart(9), 'share'.padStart(7), 'GFLOP/s'.padStart(9));
  for (const [name, { count, milliseconds, flops }] of [...rows].sort(([, a], [, b]) => b.milliseconds - a.milliseconds).slice(0, SHOWN)) {
    const rate = flops === 0 ? '' : (flops / milliseconds / 1e6).toFixed(0);
    const share = `${((100 * milliseconds) / total).toFixed(1)}%`;
    console.error(name.padEnd(61), String(count).padStart(6), milliseconds.toFixed(1).padStart(9), share.padStart(7), rate.padStart(9));
  }
}
