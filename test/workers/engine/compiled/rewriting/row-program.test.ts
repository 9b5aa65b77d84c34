import { afterEach, describe, expect, it } from 'vitest';
import type { GraphNode, Output } from '../../../../../workers/engine/compiled/recording/graph.ts';
import { Recorder } from '../../../../../workers/engine/compiled/recording/recorder.ts';
import { fuseRows } from '../../../../../workers/engine/compiled/rewriting/fuse.ts';
import { GraphSession } from '../../../../../workers/engine/compiled/session/session.ts';
import { elementsAt, rollLastAxis } from '../../../../../workers/engine/tensorflow/native.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from '../../../../../workers/engine/tensorflow/tensorflow.ts';

const ROWS = 101;
let session: GraphSession | undefined;
afterEach(() => session?.dispose());

interface Fused {
  run(x: Tensor2D): Tensor[];
  /** The nodes of the results. */
  nodes: GraphNode[];
}

/** Records and fuses a function of x [rows, columns], where the number of rows varies. */
function fused(body: (x: Tensor2D) => Tensor[], columns: number): Fused {
  const recorder = new Recorder();
  recorder.size('rows', ROWS);
  const x = recorder.feed('x', 'float32', [ROWS, columns]) as Tensor2D;
  let results: Output[] = [];
  recorder.record(() =>
    tf.tidy(() => {
      results = body(x).map((result) => recorder.outputOf(result));
    }),
  );
  recorder.dispose();
  fuseRows(recorder.graph, [results]);
  session = new GraphSession(recorder.graph, results);
  return {
    run: (given) => session!.run({ x: given, rows: tf.scalar(given.shape[0], 'int32') }, results),
    nodes: [...new Set(results.map(({ node }) => node))],
  };
}

const input = (rows: number, columns: number): Tensor2D =>
  tf.tensor2d(
    Float32Array.from({ length: rows * columns }, (_, index) => 4 * Math.sin(index * 1.7)),
    [rows, columns],
  );

const ramp = (columns: number): Tensor1D => tf.tensor1d(Float32Array.from({ length: columns }, (_, index) => index / columns));

const chains: [string, number, (x: Tensor2D) => Tensor[]][] = [
  ['arithmetic', 6, (x) => [tf.div(tf.sub(tf.mul(x, 2), tf.square(x)), tf.add(tf.square(x), 1))]],
  ['exponentials', 70, (x) => [tf.mul(tf.exp(x), tf.sigmoid(x)), tf.sub(tf.tanh(x), tf.tanh(tf.mul(x, 0.1)))]],
  ['roots', 6, (x) => [tf.mul(tf.sqrt(tf.add(tf.square(x), 1)), tf.rsqrt(tf.add(tf.square(x), 2)))]],
  ['a norm, with a weight for each column', 576, (x) => [tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), 1e-5))), ramp(576))]],
  ['a softmax', 1500, (x) => [tf.softmax(tf.mul(x, 2)), tf.max(tf.mul(x, 2), 1)]],
  ['sums, largest and smallest', 33, (x) => [tf.sub(tf.sum(x, 1, true), tf.mul(x, tf.sub(tf.max(x, 1, true), tf.min(x, 1, true))))]],
  ['a rotation of pairs', 64, (x) => [tf.add(tf.mul(x, ramp(64)), tf.mul(rollLastAxis(x, 32), tf.sub(1, ramp(64))))]],
  ['comparisons and choices', 6, (x) => [tf.where(tf.greater(tf.mul(x, 2), tf.square(x)), tf.mul(x, 3), tf.neg(x))]],
  ['a mask made from bools', 6, (x) => [tf.mul(tf.cast(tf.lessEqual(x, tf.mul(x, x)), 'float32'), x)]],
  ['the place of the largest element', 300, (x) => [tf.argMax(tf.mul(x, -1), 1), tf.mul(x, -1)]],
  ['one element a row', 300, (x) => [elementsAt(tf.mul(tf.square(x), 2), tf.fill([x.shape[0]], 7, 'int32') as Tensor1D)]],
];

describe.each(chains)('a fused chain with %s', (_, columns, body) => {
  it('is one operation that computes what the eager code computes, for any number of rows', () => {
    const { run, nodes } = fused(body, columns);
    expect(new Set(nodes.map(({ op, inputs }) => (op === 'Reshape' ? inputs[0]!.node.op : op)))).toEqual(new Set(['GraftFusedRows']));
    for (const rows of [1, 4, 33]) {
      tf.tidy(() => {
        const x = input(rows, columns);
        for (const [index, got] of run(x).entries()) {
          const wanted = body(x)[index]!;
          expect(got.shape).toEqual(wanted.shape);
          const scale = Math.max(1, tf.max(tf.abs(wanted)).dataSync()[0]!);
          expect(tf.max(tf.abs(tf.sub(got, wanted))).dataSync()[0]! / scale).toBeLessThan(1e-6);
        }
      });
    }
  });
});
