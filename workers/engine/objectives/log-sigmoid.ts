import { differentiable } from '../tensorflow/differentiable.ts';
import { type Tensor, type Tensor1D, tf } from '../tensorflow/tensorflow.ts';

/** log σ(x) = min(x, 0) − log(1 + e^−|x|), which neither overflows nor loses small values. Its slope is σ(−x). */
export function logSigmoid<T extends Tensor>(x: T): T {
  return differentiable<T>([x], () => {
    const negative = tf.minimum(x, 0);
    const minusSize = tf.sub(negative, tf.maximum(x, 0));
    return {
      value: tf.sub(negative, tf.log(tf.add(tf.exp(minusSize), 1))) as T,
      saved: [x],
      gradient: (dy, [x]) => [tf.mul(dy, tf.sigmoid(tf.neg(x!)))],
    };
  });
}

/** −log σ(x) for each pair; with smoothing ε, a pair is the wrong way round with this probability. @param logits [pairs] */
export function smoothedLosses(logits: Tensor1D, smoothing: number): Tensor1D {
  const losses = tf.neg(logSigmoid(logits)) as Tensor1D;
  if (smoothing === 0) return losses;
  return tf.sub(tf.mul(losses, 1 - smoothing), tf.mul(logSigmoid(tf.neg(logits) as Tensor1D), smoothing));
}

/** max(x, 0), whose slope at 0 is 0, as in PyTorch. */
export function positivePart<T extends Tensor>(x: T): T {
  return differentiable<T>([x], () => ({
    value: tf.maximum(x, 0) as T,
    saved: [x],
    gradient: (dy, [x]) => [tf.mul(dy, tf.cast(tf.greater(x!, 0), 'float32'))],
  }));
}
