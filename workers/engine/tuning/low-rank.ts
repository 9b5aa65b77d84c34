/** The two products of a low-rank update, with their gradients. */
import { differentiable } from '../tensorflow/differentiable.ts';
import { expansionGradientKernel, LARGEST_THIN_RANK, type Owners, ownKernels, ownUpdateKernel, statelessUniform } from '../tensorflow/native.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { hashName } from './random.ts';

/** The factors of one layer's update, s·B·A. */
export interface Factors {
  /** [r, in] */
  A: Tensor2D;
  /** [out, r] */
  B: Tensor2D;
  scaling: number;
}

/** Reduces the layers that share a factor together. @returns the result of each, in order */
export function byScaling(pairs: readonly Factors[], reduce: (alike: readonly Factors[]) => Tensor2D[]): Tensor2D[] {
  const results = new Map<Factors, Tensor2D>();
  for (const scaling of new Set(pairs.map((pair) => pair.scaling))) {
    const alike = pairs.filter((pair) => pair.scaling === scaling);
    for (const [index, H] of reduce(alike).entries()) results.set(alike[index]!, H);
  }
  return pairs.map((pair) => results.get(pair)!);
}

/** A different key for each module; the sum wraps around. */
export const keyOfModule = (key: Tensor1D, module: string): Tensor1D => tf.add(key, tf.tensor1d([0, hashName(module) | 0], 'int32'));

export interface Dropout {
  rate: number;
  /** [2] int32 */
  seed: Tensor1D;
}

/** @returns the dropout of one layer in a pass; undefined without a key or a rate */
export const dropoutOf = (module: string, { key, rate }: { key: Tensor1D | undefined; rate: number }): Dropout | undefined =>
  key === undefined || rate === 0 ? undefined : { rate, seed: keyOfModule(key, module) };

/** @returns D, with 1 where an element of x is kept and 0 where it is dropped */
const kept = (x: Tensor2D, { rate, seed }: Dropout): Tensor => tf.cast(tf.greaterEqual(statelessUniform(x.shape, seed), rate), 'float32');

/** @returns the same with 1 / (1 − p) in place of 1, where p is the rate */
export const keptScaled = (x: Tensor2D, dropout: Dropout): Tensor => tf.mul(kept(x, dropout), 1 / (1 - dropout.rate));

/**
 * The first product of y = xWᵀ + s·((D·x)Aᵀ)Bᵀ, for all layers with the same input x at once: H = s·(D·x)Aᵀ, with their A stacked. D zeroes elements
 * with probability p; s includes the factor 1 / (1 − p) of the others. dx = s·D·(dH·A), dA = s·dHᵀ(D·x).
 * @param x     [tokens, in]
 * @param pairs with the same s
 * @returns [tokens, r] for each
 */
export function reduced(x: Tensor2D, pairs: readonly Factors[], dropout?: Dropout): Tensor2D[] {
  const { scaling } = pairs[0]!;
  const A = pairs.length === 1 ? pairs[0]!.A : tf.concat(pairs.map((pair) => pair.A));
  const s = dropout === undefined ? scaling : scaling / (1 - dropout.rate);
  const H = differentiable<Tensor2D>([x, A], () => {
    const D = dropout === undefined ? undefined : kept(x, dropout);
    const input = D === undefined ? x : tf.mul(x, D);
    return {
      value: tf.mul(tf.matMul(input, A, false, true), s), // [tokens, layers · r]
      saved: D === undefined ? [input, A] : [input, A, D],
      gradient(dH, [input, A, D]) {
        const scaled: Tensor2D = tf.mul(dH, s);
        const throughA = tf.matMul(scaled, A as Tensor2D);
        return [D === undefined ? throughA : tf.mul(throughA, D), tf.matMul(scaled, input as Tensor2D, true, false)];
      },
    };
  });
  const ranks = pairs.map((pair) => pair.A.shape[0]);
  const areEqual = ranks.every((rank) => rank === ranks[0]);
  return pairs.length === 1 ? [H] : tf.split(H, areEqual ? pairs.length : ranks, 1);
}

/**
 * The second product: y + H·Bᵀ. dH = dy·B, dB = dyᵀH.
 * @param y      [tokens, out]
 * @param H      [tokens, r]
 * @param owners of the tokens and of the columns of H and B; only if `ownKernels()`
 */
export function expanded(y: Tensor2D, H: Tensor2D, B: Tensor2D, owners?: Owners): Tensor2D {
  return differentiable<Tensor2D>([y, H, B], () => ({
    value: tf.add(y, owners === undefined ? tf.matMul(H, B, false, true) : ownUpdateKernel(H, B, { ...owners, transposed: true })),
    saved: [H, B],
    gradient(dy, [H, B]) {
      if (owners !== undefined || (ownKernels() && H!.shape[1]! <= LARGEST_THIN_RANK))
        return [tf.clone(dy), ...expansionGradientKernel(dy, H as Tensor2D, B as Tensor2D, owners)];
      return [tf.clone(dy), tf.matMul(dy, B as Tensor2D), tf.matMul(dy, H as Tensor2D, true, false)];
    },
  }));
}
