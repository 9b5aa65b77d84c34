import { differentiable } from '../differentiable.ts';
import { type Tensor1D, type Tensor2D, tf } from '../tensorflow.ts';

/**
 * RMSNorm (Zhang & Sennrich 2019): y = w · x · r, r = 1 / √(mean(x²) + ε).
 * With g = dy·w: dx = r·(g − x·r²·mean(g·x)), dw = Σ dy·x·r over the tokens.
 * @param x       [tokens, hidden]
 * @param w       [hidden]
 * @param trained whether w's gradient is wanted
 * @returns       [tokens, hidden]
 */
export function rmsNorm(x: Tensor2D, w: Tensor1D, { epsilon, trained }: { epsilon: number; trained: boolean }): Tensor2D {
  return differentiable<Tensor2D>(trained ? [x, w] : [x], () => {
    const r = tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), epsilon)); // [tokens, 1]
    return {
      value: tf.mul(tf.mul(x, r), w),
      saved: [x, w, r],
      gradient(dy, [x, w, r]) {
        const g = tf.mul(dy, w!);
        const normed = tf.mul(x!, r!);
        const projection = tf.mean(tf.mul(g, normed), 1, true);
        const dx = tf.mul(tf.sub(g, tf.mul(normed, projection)), r!);
        return trained ? [dx, tf.sum(tf.mul(dy, normed), 0)] : [dx];
      },
    };
  });
}
