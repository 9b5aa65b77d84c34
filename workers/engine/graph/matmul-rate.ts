/** How fast this machine multiplies matrices, and the precision that follows. */
import { readFileSync } from 'node:fs';

import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { backend } from '../backend.ts';
import { type Tensor2D, tf } from '../tensorflow.ts';
import type { Output } from './graph.ts';
import { Recorder } from './recorder.ts';
import { GraphSession } from './session.ts';
import { type SessionVariable, sessionVariable } from './session-variable.ts';

/** Casts cost too, and accuracy: bf16's products have to be clearly faster. Where the processor has them they are twice as fast. */
const WORTH_IT = 1.4;
const CHOICE_SIZE = 1024;
const CHOICE_RUNS = 5;

type Multiply = () => void;

/** @param use given a function for each precision, each of which multiplies two matrices of this size once */
function withProducts<T>(precisions: readonly Precision[], size: number, use: (multiply: Multiply[]) => T): T {
  const sessions: GraphSession[] = [];
  try {
    return use(
      precisions.map((precision) => {
        const recorder = new Recorder(precision);
        const [a, b] = ['a', 'b'].map((name) => sessionVariable(recorder.graph, name, [size, size])) as [SessionVariable, SessionVariable];
        const [left, right] = [recorder.tensor(a.value), recorder.tensor(b.value)] as [Tensor2D, Tensor2D];
        let corner: Output | undefined;
        recorder.record(() =>
          tf.tidy(() => {
            corner = recorder.outputOf(tf.slice(tf.matMul(left, right), [0, 0], [1, 1]));
          }),
        );
        recorder.dispose();
        const session = new GraphSession(recorder.graph, [corner!, a.assigned, b.assigned]);
        sessions.push(session);
        tf.tidy(() => {
          session.run({ 'a/given': tf.randomNormal([size, size]), 'b/given': tf.randomNormal([size, size]) }, [a.assigned, b.assigned]);
        });
        const multiply = () => tf.dispose(session.run({}, [corner!]));
        multiply(); // the first prepares
        return multiply;
      }),
    );
  } finally {
    for (const session of sessions) session.dispose();
  }
}

function secondsOf(multiply: Multiply): number {
  const startedMs = performance.now();
  multiply();
  return (performance.now() - startedMs) / 1000;
}

/** Median rate of a square product, GFLOP/s. */
export function matmulRate(precision: Precision, { size, runs }: { size: number; runs: number }): number {
  return withProducts([precision], size, ([multiply]) => {
    const seconds = Array.from({ length: runs }, () => secondsOf(multiply!)).sort((a, b) => a - b);
    return (2 * size ** 3) / seconds[Math.floor(runs / 2)]! / 1e9;
  });
}

/** An x86 processor without AVX-512 has nothing for bf16, and TensorFlow complains when it is tried. */
function hopeless(): boolean {
  if (process.arch !== 'x64' || backend.isUsingGpuDevice) return false;
  try {
    return !readFileSync('/proc/cpuinfo', 'utf8').includes('avx512');
  } catch {
    return false; // not Linux
  }
}

let chosen: Precision | undefined;

/** bf16 where its products are clearly faster, each at its best in turn; measured at the first call. */
export function fastestPrecision(): Precision {
  chosen ??= hopeless() ? 'f32' : measured();
  return chosen;
}

function measured(): Precision {
  return withProducts(['f32', 'bf16'], CHOICE_SIZE, (multiply) => {
    const best = multiply.map(() => Number.POSITIVE_INFINITY);
    for (let run = 0; run < CHOICE_RUNS; run++)
      for (const [index, product] of multiply.entries()) best[index] = Math.min(best[index]!, secondsOf(product));
    return best[0]! > WORTH_IT * best[1]! ? 'bf16' : 'f32';
  });
}
