/** Global-norm clipping, gradient by gradient. Jobs clip in `compiled/adamw-update.ts`; tests compare that with this plain implementation. */
import { clipFactor } from '../optim/clip.ts';
import { type Tensor, tf } from '../tensorflow/tensorflow.ts';

/** @returns √Σg² over all gradients; NaN or Infinity if any of them is */
export function globalNorm(gradients: ReadonlyMap<string, Tensor>): number {
  if (gradients.size === 0) return 0;
  return tf.tidy(() => {
    const squares = [...gradients.values()].map((gradient) => tf.sum(tf.square(gradient)));
    return Math.sqrt(tf.addN(squares).dataSync()[0]!);
  });
}

/**
 * Scales every gradient by the clip factor. Replaces the map's tensors and disposes of the old ones.
 * @param maxNorm 0 turns clipping off
 * @returns the norm before clipping
 */
export function clip(gradients: Map<string, Tensor>, maxNorm: number): number {
  const norm = globalNorm(gradients);
  const factor = maxNorm === 0 ? 1 : tf.tidy(() => clipFactor(tf.scalar(norm), tf.scalar(maxNorm)).dataSync()[0]!);
  if (!(factor < 1)) return norm;
  for (const [name, gradient] of gradients) {
    gradients.set(name, tf.mul(gradient, factor));
    gradient.dispose();
  }
  return norm;
}
