/** What benches measure beside time. */
import { readFileSync } from 'node:fs';
import { tf } from '../workers/engine/tensorflow.ts';

const PEAK_SIZE = 2048;
const PEAK_RUNS = 7;

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Median rate of a square product in this process, GFLOP/s. */
export function matmulPeak(): number {
  const [a, b] = [tf.randomNormal([PEAK_SIZE, PEAK_SIZE]), tf.randomNormal([PEAK_SIZE, PEAK_SIZE])];
  const rates = Array.from({ length: PEAK_RUNS }, () => {
    const startedMs = performance.now();
    tf.tidy(() => tf.matMul(a, b).slice([0, 0], [1, 1]).dataSync());
    return (2 * PEAK_SIZE ** 3) / (performance.now() - startedMs) / 1e6;
  });
  tf.dispose([a, b]);
  return median(rates);
}

/** The kernel's high-water mark of this process's memory. */
export const peakMemoryMb = (): number => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
