import { differentiable, isTrained } from '../tensorflow/differentiable.ts';
import { type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';

/**
 * The logarithm of how much of its state a head keeps at a token (Mamba 2): g = −e^log · softplus(a + bias).
 * With d = dg: da = −d·e^log·σ(a + bias), dbias = Σ da, dlog = Σ d·g over the tokens.
 * @param a    [tokens, heads]
 * @param bias [heads]
 * @param log  [heads]
 * @returns    [tokens, heads], at most 0
 */
export function logDecay(a: Tensor2D, { bias, log }: { bias: Tensor1D; log: Tensor1D }): Tensor2D {
  const trained = isTrained(bias) || isTrained(log);
  return differentiable<Tensor2D>(trained ? [a, bias, log] : [a], () => {
    const x: Tensor2D = tf.add(a, bias);
    const rate = tf.neg(tf.exp(log));
    const g: Tensor2D = tf.mul(tf.softplus(x), rate);
    return {
      value: g,
      saved: [x, rate, g],
      gradient(dy, [x, rate, g]) {
        const da = tf.mul(tf.mul(dy, rate!), tf.sigmoid(x!));
        return trained ? [da, tf.sum(da, 0), tf.sum(tf.mul(dy, g!), 0)] : [da];
      },
    };
  });
}
