/** Measures how fast this machine multiplies matrices. */
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { settersOf } from '../compiled/fetches.ts';
import type { Output } from '../compiled/recording/graph.ts';
import { Recorder } from '../compiled/recording/recorder.ts';
import { setVariable } from '../compiled/session/held-slabs.ts';
import { GraphSession } from '../compiled/session/session.ts';
import { type SessionVariable, sessionVariable } from '../compiled/session/session-variable.ts';
import { type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { tidyValues } from '../tensorflow/tidy-values.ts';

type Multiply = () => void;

/** @param use takes a function for each precision, which multiplies two matrices of this size once */
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
        const session = new GraphSession(recorder.graph, [corner!, ...[a, b].flatMap(settersOf)]);
        sessions.push(session);
        for (const variable of [a, b]) {
          const values = tidyValues(() => tf.randomNormal([size, size]).dataSync<'float32'>());
          setVariable(session, variable, values);
        }
        const multiply = () => tf.dispose(session.run({}, [corner!]));
        multiply(); // the first run includes TensorFlow's preparation
        return multiply;
      }),
    );
  } finally {
    for (const session of sessions) session.dispose();
  }
}

/** @returns GFLOP/s */
function rateOf(multiply: Multiply, size: number): number {
  const startedMs = performance.now();
  multiply();
  return (2 * size ** 3) / (performance.now() - startedMs) / 1e6;
}

/** Median rate of a square product, GFLOP/s. */
export function matmulRate(precision: Precision, { size, runs }: { size: number; runs: number }): number {
  return withProducts([precision], size, ([multiply]) => {
    const rates = Array.from({ length: runs }, () => rateOf(multiply!, size)).sort((a, b) => b - a);
    return rates[Math.floor(runs / 2)]!;
  });
}

/** Best rate of a square product in each precision, GFLOP/s. The precisions take turns, so that other load on the machine slows both down. */
export function matmulRates({ size, runs }: { size: number; runs: number }): Record<Precision, number> {
  return withProducts(['f32', 'bf16'], size, ([f32, bf16]) => {
    const best = { f32: 0, bf16: 0 };
    for (let run = 0; run < runs; run++) {
      best.f32 = Math.max(best.f32, rateOf(f32!, size));
      best.bf16 = Math.max(best.bf16, rateOf(bf16!, size));
    }
    return best;
  });
}
