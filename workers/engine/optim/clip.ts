/** Global-norm clipping, as `torch.nn.utils.clip_grad_norm_`. */
import { type Scalar, type Tensor, tf } from '../tensorflow/tensorflow.ts';

/** Keeps the division finite for a gradient of zeros; PyTorch's own constant. */
const EPSILON = 1e-6;

/** @returns √Σg² over all the gradients; NaN or Infinity when one of them is */
export function globalNorm(gradients: ReadonlyMap<string, Tensor>): number {
  if (gradients.size === 0) return 0;
  return tf.tidy(() => {
    const squares = [...gradients.values()].map((gradient) => tf.sum(tf.square(gradient)));
    return Math.sqrt(tf.addN(squares).dataSync()[0]!);
  });
}

/** min(1, maxNorm / (norm + ε)), as a tensor. */
export const clipFactor = (norm: Scalar, maxNorm: Scalar): Scalar => tf.minimum(1, tf.div(maxNorm, tf.add(norm, EPSILON)));

/**
 * Scales every gradient by min(1, maxNorm / (norm + ε)). Replaces the map's tensors and disposes the old ones.
 * @param maxNorm 0 turns clipping off
 * @returns the norm before clipping
 */
export function clip(gradients: Map<string, Tensor>, maxNorm: number): number {
  const norm = globalNorm(gradients);
  const factor = maxNorm / (norm + EPSILON);
  if (maxNorm === 0 || !(factor < 1)) return norm;
  for (const [name, gradient] of gradients) {
    gradients.set(name, tf.mul(gradient, factor));
    gradient.dispose();
  }
  return norm;
}
