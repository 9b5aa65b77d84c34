import type { Experts } from '../../../src/formats/model-config.ts';
import { differentiable, isTrained } from '../tensorflow/differentiable.ts';
import { expertOuterKernel, expertProductsKernel, isRecorded } from '../tensorflow/native.ts';
import { type Tensor1D, type Tensor2D, type Tensor3D, tf } from '../tensorflow/tensorflow.ts';

/**
 * Of each choice, its row of x times its expert's matrix: yᵢ = W[eᵢ]·x[⌊i / k⌋]. dx is the sum of W[eᵢ]ᵀ·dyᵢ over a row's choices, dW[e] that of
 * dyᵢ·xᵀ over an expert's choices.
 * @param x       [rows, in]
 * @param W       [experts, out, in], or [experts, in, out] if `inputFirst`; its gradient is computed only if it is trained
 * @param experts [choices] int32, k for each row
 * @returns       [choices, out]
 */
export function expertProducts(
  x: Tensor2D,
  W: Tensor3D,
  experts: Tensor1D,
  { inputFirst = false }: Pick<Experts, 'inputFirst'> | { inputFirst?: false } = {},
): Tensor2D {
  if (!isRecorded()) return oneByOne(x, W, experts, inputFirst);
  const [count] = W.shape;
  const trained = isTrained(W);
  return differentiable<Tensor2D>(trained ? [x, W] : [x], () => ({
    value: expertProductsKernel(x, W, experts, { transposed: !inputFirst }),
    saved: trained ? [x, W, experts] : [experts],
    gradient(dy, saved) {
      const chosen = saved.at(-1) as Tensor1D;
      const dx = sumOfChoices(expertProductsKernel(dy, trained ? (saved[1] as Tensor3D) : W, chosen, { transposed: inputFirst }), x.shape[0]);
      if (!trained) return [dx];
      const given = saved[0] as Tensor2D;
      return [dx, inputFirst ? expertOuterKernel(given, dy, chosen, { count }) : expertOuterKernel(dy, given, chosen, { count })];
    },
  }));
}

/** @param x [choices, size] @returns the sum over each row's choices, [rows, size] */
function sumOfChoices(x: Tensor2D, rows: number): Tensor2D {
  const [choices, size] = x.shape;
  return choices === rows ? x : tf.sum(tf.reshape(x, [rows, choices / rows, size]), 1);
}

/** The formula as it stands: every expert computes all choices, and each takes its own. */
function oneByOne(x: Tensor2D, W: Tensor3D, experts: Tensor1D, inputFirst: boolean): Tensor2D {
  const [rows, inner] = x.shape;
  const [choices] = experts.shape;
  const repeated = (x: Tensor2D): Tensor2D => tf.reshape(tf.tile(tf.reshape(x, [rows, 1, inner]), [1, choices / rows, 1]), [choices, inner]);
  const ownOf = (y: Tensor2D, experts: Tensor1D, expert: number): Tensor2D => {
    const isOwn = tf.cast(tf.equal(experts, tf.scalar(expert, 'int32')), 'float32');
    return tf.mul(y, tf.reshape(isOwn, [choices, 1]));
  };
  const matrices = (W: Tensor3D): Tensor2D[] => tf.unstack(W) as Tensor2D[];
  return differentiable<Tensor2D>([x, W], () => ({
    value: tf.addN(matrices(W).map((matrix, expert) => ownOf(tf.matMul(repeated(x), matrix, false, !inputFirst), experts, expert))),
    saved: [x, W, experts],
    gradient(dy, [x, W, experts]) {
      const own = matrices(W as Tensor3D).map((matrix, expert) => [matrix, ownOf(dy, experts as Tensor1D, expert)] as const);
      const dx = tf.addN(own.map(([matrix, dy]): Tensor2D => tf.matMul(dy, matrix, false, inputFirst)));
      const given = repeated(x as Tensor2D);
      const ofExpert = (dy: Tensor2D): Tensor2D => (inputFirst ? tf.matMul(given, dy, true, false) : tf.matMul(dy, given, true, false));
      return [sumOfChoices(dx, rows), tf.stack(own.map(([, dy]) => ofExpert(dy)))];
    },
  }));
}
