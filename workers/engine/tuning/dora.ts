/** DoRA (Liu et al. 2024), as PEFT computes it. */
import { differentiable } from '../tensorflow/differentiable.ts';
import { type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { type Dropout, expanded, type Factors, keptScaled, reduced } from './low-rank.ts';
import type { UnbiasedProduct } from './trained.ts';

interface DoraLayer extends UnbiasedProduct {
  factors: Factors;
  /** [out] */
  magnitude: Tensor1D;
  dropout: Dropout | undefined;
}

/**
 * y = g ⊙ (W + s·B·A)x + b, g = m / ‖W + s·B·A‖ for each output. With dropout the update alone sees the dropped x: y = Wx + b + g ⊙ (W + s·B·A)x̃ − Wx̃.
 * @param x [tokens, in]
 * @returns [tokens, out]
 */
export function doraLinear(x: Tensor2D, { product, W, b, inputFirst, factors, magnitude, dropout }: DoraLayer): Tensor2D {
  const g = gain(magnitude, factors, { W, inputFirst });
  const biased = (y: Tensor2D): Tensor2D => (b === undefined ? y : tf.add(y, b));
  const tuned = (input: Tensor2D, frozen: Tensor2D): Tensor2D => tf.mul(expanded(frozen, reduced(input, [factors])[0]!, factors.B), g);
  const frozen = product(x);
  if (dropout === undefined) return biased(tuned(x, frozen));
  const dropped: Tensor2D = tf.mul(x, keptScaled(x, dropout));
  const ofDropped = product(dropped);
  return biased(tf.add(frozen, tf.sub(tuned(dropped, ofDropped), ofDropped)));
}

/**
 * m / ‖W + s·B·A‖, whose norm counts as a constant in the gradient (section 4.3 of the paper): dm = dg / norm. Its square is
 * ‖W‖² + 2s·⟨B, W·Aᵀ⟩ + s²·⟨B·A·Aᵀ, B⟩ for each output, which needs no matrix of W's size.
 * @returns [out]
 */
function gain(m: Tensor1D, { A, B, scaling: s }: Factors, { W, inputFirst }: Pick<DoraLayer, 'W' | 'inputFirst'>): Tensor1D {
  return differentiable<Tensor1D>([m], () => {
    const own = tf.sum(tf.square(W), inputFirst ? 0 : 1);
    const mixed = tf.sum(tf.mul(B, tf.matMul(W, A, inputFirst, true)), 1);
    const added = tf.sum(tf.mul(tf.matMul(B, tf.matMul(A, A, false, true)), B), 1);
    const norm: Tensor1D = tf.sqrt(tf.add(own, tf.add(tf.mul(mixed, 2 * s), tf.mul(added, s * s))));
    return { value: tf.div(m, norm), saved: [norm], gradient: (dg, [norm]) => [tf.div(dg, norm!)] };
  });
}
