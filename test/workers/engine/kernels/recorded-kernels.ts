/** Runs recorded code that asks for the engine's own kernels. */
import { expect } from 'vitest';
import type { Precision } from '../../../../src/formats/hyperparameters.ts';
import type { GraphNode, Output } from '../../../../workers/engine/compiled/recording/graph.ts';
import { Recorder } from '../../../../workers/engine/compiled/recording/recorder.ts';
import { GraphSession } from '../../../../workers/engine/compiled/session/session.ts';
import { type Tensor, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

let session: GraphSession | undefined;
/** To be called after each test. */
export const disposeSession = (): void => session?.dispose();

export const TOKENS = 211;

/** Relative to the largest element. The inputs, from `waves`, are exact in bf16, which has 8 bits of precision; results are not. */
export const TOLERANCES: [Precision, number][] = [
  ['f32', 1e-5],
  ['bf16', 4e-3],
];
export interface Recorded {
  run(feeds: Record<string, Tensor>): Tensor[];
  /** The nodes that compute the results. */
  nodes: GraphNode[];
}

/** @param shapes of the feeds; TOKENS is the placeholder for a size that varies */
export function recorded(
  shapes: Record<string, { shape: number[]; dtype?: 'float32' | 'int32' }>,
  body: (feeds: Record<string, Tensor>) => Tensor[],
  precision: Precision = 'f32',
): Recorded {
  const recorder = new Recorder(precision);
  recorder.size('tokens', TOKENS);
  const feeds = Object.fromEntries(Object.entries(shapes).map(([name, { shape, dtype = 'float32' }]) => [name, recorder.feed(name, dtype, shape)]));
  let results: Output[] = [];
  recorder.record(() =>
    tf.tidy(() => {
      results = body(feeds).map((result) => recorder.outputOf(result));
    }),
  );
  recorder.dispose();
  const { graph } = recorder;
  session = new GraphSession(graph, results);
  return { run: (given) => session!.run(given, results), nodes: results.map(({ node }) => (node.op === 'Cast' ? node.inputs[0]!.node : node)) };
}

export function waves(shape: number[], frequency: number): Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, index) => Math.round(Math.sin(index * frequency) * 64) / 64),
    shape,
  );
}

export function expectClose(got: Tensor, wanted: Tensor, tolerance = TOLERANCES[0]![1]): void {
  expect(got.shape).toEqual(wanted.shape);
  const scale = tf.max(tf.abs(wanted)).dataSync()[0]!;
  expect(tf.max(tf.abs(tf.sub(got, wanted))).dataSync()[0]! / scale).toBeLessThan(tolerance);
}
