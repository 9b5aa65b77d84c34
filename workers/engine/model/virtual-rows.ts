/** Rows of virtual tokens in place of those that the decoder computes. */
import { differentiable } from '../tensorflow/differentiable.ts';
import { gatherRows } from '../tensorflow/native.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';
import type { RotaryTables } from './rope.ts';

/**
 * @param ids [tokens] int32
 * @returns [tokens] int32, the number of each virtual token; negative for tokens of the vocabulary
 */
export const virtualNumbers = (ids: Tensor1D, vocabSize: number): Tensor1D => tf.sub(ids, tf.scalar(vocabSize, 'int32'));

/**
 * x, but for a virtual token the row with its number. Real tokens pass their gradient to x, virtual ones add theirs to their row.
 * @param x       [tokens, n]
 * @param rows    [count, n]
 * @param numbers [tokens] int32
 */
export function withVirtualRows(x: Tensor2D, rows: Tensor2D, numbers: Tensor1D): Tensor2D {
  return differentiable<Tensor2D>([x, rows], () => {
    const real = tf.reshape(tf.cast(tf.less(numbers, 0), 'float32'), [-1, 1]); // [tokens, 1], 1 or 0
    const places: Tensor1D = tf.maximum(numbers, tf.scalar(0, 'int32'));
    const virtual = tf.sub(1, real);
    return {
      value: tf.add(tf.mul(x, real), tf.mul(gatherRows(rows, places), virtual)),
      saved: [real, numbers],
      gradient: (dy, [real, numbers]) => [tf.mul(dy, real!), tf.unsortedSegmentSum(dy, numbers as Tensor1D, rows.shape[0])],
    };
  });
}

/**
 * Tables that leave virtual tokens as they are.
 * @param numbers [tokens] int32
 */
export function withoutRotation({ cos, sin, ...others }: RotaryTables, numbers: Tensor1D): RotaryTables {
  return tf.tidy(() => {
    const real: Tensor = tf.reshape(tf.cast(tf.less(numbers, 0), 'float32'), [cos.shape[0], cos.shape[1], 1, 1]);
    return { ...others, cos: tf.add(tf.mul(cos, real), tf.sub(1, real)) as Tensor4D, sin: tf.mul(sin, real) as Tensor4D };
  });
}
