/** What benches measure beside time. */
import { readFileSync } from 'node:fs';

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** The kernel's high-water mark of this process's memory. */
export const peakMemoryMb = (): number => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
