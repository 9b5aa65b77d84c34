/** What benches measure beside time. */
import { readdirSync, readFileSync } from 'node:fs';

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** The kernel's high-water mark of memory, summed over this process and its living children, theirs included: esbuild, which tsx starts, counts as ours. */
export function peakMemoryMb(): number {
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap(readStatus);
  const sumOf = (pid: number): number => {
    const own = processes.find((process) => process.pid === pid)?.highWaterMarkKb ?? 0;
    return processes.filter(({ parent }) => parent === pid).reduce((sum, child) => sum + sumOf(child.pid), own);
  };
  return sumOf(process.pid) / 1024;
}

/** @returns nothing of a process that ended since it was listed; 0 kB of one that has ended and is not waited for yet */
function readStatus(name: string): { pid: number; parent: number; highWaterMarkKb: number }[] {
  try {
    const status = readFileSync(`/proc/${name}/status`, 'utf8');
    const field = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    return [{ pid: Number(name), parent: field('PPid'), highWaterMarkKb: field('VmHWM') }];
  } catch {
    return [];
  }
}
