/** Measures that the benchmarks share. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/**
 * Runs a program of the benchmarks in a process of its own, because peak memory is counted per process and never falls.
 * @param program in this folder. @param options `--name value` each
 * @returns the JSON of its last line. @throws Error with its own if it fails
 */
export function measured<T>(program: string, options: Readonly<Record<string, string | number>>): T {
  const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const path = join(import.meta.dirname, program);
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', path, ...given], { encoding: 'utf8' });
  const reason = /^\w*Error: .*$/m.exec(stderr)?.[0] ?? stderr.trim().split('\n').at(-1);
  if (status !== 0) throw new Error(`bench/${program} ${given.join(' ')} failed (${signal ?? `exit status ${status}`}): ${reason}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as T;
}

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
