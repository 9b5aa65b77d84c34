import { afterEach, describe, expect, it } from 'vitest';
import type { Precision } from '../../../../src/formats/hyperparameters.ts';
import { DType } from '../../../../workers/engine/compiled/recording/graph.ts';
import { Recorder } from '../../../../workers/engine/compiled/recording/recorder.ts';
import { GraphSession } from '../../../../workers/engine/compiled/session/session.ts';
import { decodeFloats, encodeFloats } from '../../../../workers/engine/io/float-formats.ts';
import { instructionSet } from '../../../../workers/engine/tensorflow/native.ts';
import { type Tensor, type Tensor2D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { expectClose, TOKENS, waves } from './recorded-kernels.ts';

let session: GraphSession | undefined;
afterEach(() => session?.dispose());

/** Whole panels; panels that are cut in both directions; an odd inner axis; and one of several slices. */
const SHAPES: [number, number][] = [
  [128, 256],
  [150, 330],
  [97, 301],
  [2200, 130],
];

/** Third roots are not exact in bf16, so that a rounded input would show. */
const roots = (shape: [number, number], first: number): Tensor2D =>
  tf.tensor2d(
    Float32Array.from({ length: shape[0] * shape[1] }, (_, index) => Math.cbrt((((first + index * 7919) % 2003) - 1001) / 1001)),
    shape,
  );

/** Relative to the largest element. Products of bf16 are rounded to 8 bits. */
const TOLERANCES: [Precision, number][] = [
  ['f32', 5e-6],
  ['bf16', 4e-3],
];

const roundedToBf16 = (x: Tensor2D): Tensor2D =>
  tf.tensor2d(decodeFloats(new Uint8Array(encodeFloats(x.dataSync<'float32'>(), 'BF16')), 'BF16'), x.shape);

describe.each(TOLERANCES)('products of %s with a matrix that is held in bf16', (precision, tolerance) => {
  it.each(SHAPES)('of %i outputs and %i inputs are those with the matrix in f32, forward and backward', (out, into) => {
    const bytes = new Uint8Array(encodeFloats(waves([out, into], 1.7).dataSync<'float32'>(), 'BF16'));
    const recorder = new Recorder(precision);
    const { graph } = recorder;
    recorder.size('tokens', TOKENS);
    const [x, dy] = [recorder.feed('x', 'float32', [TOKENS, into]), recorder.feed('dy', 'float32', [TOKENS, out])] as [Tensor2D, Tensor2D];
    const held = recorder.tensor(graph.constant({ dtype: DType.bfloat16, shape: [out, into], bytes })) as Tensor2D;
    const products = recorder.record(() => [tf.matMul(x, held, false, true), tf.matMul(dy, held)]);
    const results = products.map((product) => recorder.outputOf(product));
    recorder.record(() => tf.dispose(products));
    recorder.dispose();
    const op = precision === 'f32' || instructionSet() === 'amx' ? 'GraftHeldProduct' : 'BatchMatMulV2';
    expect(results.map(({ node }) => (node.op === 'Cast' ? node.inputs[0]!.node.op : node.op))).toEqual(Array(2).fill(op));
    session = new GraphSession(graph, results);
    for (const tokens of [1, 7, 600])
      tf.tidy(() => {
        const read = precision === 'f32' ? tf.clone<Tensor2D> : roundedToBf16;
        const given = { x: read(roots([tokens, into], 0)), dy: read(roots([tokens, out], 1)) };
        const W = tf.tensor2d(decodeFloats(bytes, 'BF16'), [out, into]);
        const wanted: Tensor[] = [tf.matMul(given.x, W, false, true), tf.matMul(given.dy, W)];
        for (const [index, result] of session!.run(given, results).entries()) expectClose(result, wanted[index]!, tolerance);
      });
  });

  it('give a row the same bits, whatever is computed beside it', ({ skip }) => {
    skip(precision === 'bf16' && instructionSet() !== 'amx', "these are TensorFlow's own");
    const [out, into] = [150, 330];
    const recorder = new Recorder(precision);
    recorder.size('tokens', TOKENS);
    const x = recorder.feed('x', 'float32', [TOKENS, into]) as Tensor2D;
    const bytes = new Uint8Array(encodeFloats(waves([out, into], 1.7).dataSync<'float32'>(), 'BF16'));
    const held = recorder.tensor(recorder.graph.constant({ dtype: DType.bfloat16, shape: [out, into], bytes })) as Tensor2D;
    const product = recorder.record(() => tf.matMul(x, held, false, true));
    const results = [recorder.outputOf(product)];
    recorder.record(() => product.dispose());
    recorder.dispose();
    session = new GraphSession(recorder.graph, results);
    tf.tidy(() => {
      const many = roots([700, into], 3);
      const [all] = session!.run({ x: many }, results) as [Tensor2D];
      for (const row of [0, 5, 511, 512, 699]) {
        const [alone] = session!.run({ x: tf.slice(many, [row, 0], [1, into]) }, results) as [Tensor2D];
        expect(alone.dataSync()).toEqual(tf.slice(all, [row, 0], [1, out]).dataSync());
      }
    });
  });
});
