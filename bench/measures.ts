/** Measures that the benchmarks share. */
import { readdirSync, readFileSync } from 'node:fs';

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Peak memory according to the kernel, summed over this process and its living descendants, including the esbuild that tsx starts. */
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

/** @returns an empty list for a process that has ended since it was listed; 0 kB for one that has ended but was not waited for */
function readStatus(name: string): { pid: number; parent: number; highWaterMarkKb: number }[] {
  try {
    const status = readFileSync(`/proc/${name}/status`, 'utf8');
    const field = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    return [{ pid: Number(name), parent: field('PPid'), highWaterMarkKb: field('VmHWM') }];
  } catch {
    return [];
  }
}
