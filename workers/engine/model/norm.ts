import type { NormConfig } from '../../../src/formats/model-config.ts';
import { differentiable, isTrained } from '../tensorflow/differentiable.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import type { Parameters } from './parameters.ts';

/**
 * The named norm, of the kind that the model uses.
 * @param x [tokens, size]
 * @returns [tokens, size]
 */
export function norm(x: Tensor2D, module: string, { config, parameters }: { config: NormConfig; parameters: Parameters }): Tensor2D {
  const { epsilon, offset } = config;
  const weight = parameters.weight(`${module}.weight`) as Tensor1D;
  const trained = weight instanceof tf.Variable;
  if (config.kind === 'layer') {
    const bias = parameters.weight(`${module}.bias`) as Tensor1D;
    return layerNorm(x, { w: weight, b: bias, epsilon, trained: trained || bias instanceof tf.Variable });
  }
  return rmsNorm(x, { w: offset === 0 ? weight : tf.add(weight, offset), epsilon, trained });
}

interface Normalisation {
  /** [size] */
  w: Tensor1D;
  epsilon: number;
  /** Whether to compute the gradients of its weights, or of one of them. */
  trained: boolean;
}

/**
 * RMSNorm (Zhang & Sennrich 2019): y = w · x · r, r = 1 / √(mean(x²) + ε).
 * With g = dy·w: dx = r·(g − x·r²·mean(g·x)), dw = Σ dy·x·r over the tokens.
 */
function rmsNorm(x: Tensor2D, { w, epsilon, trained }: Normalisation): Tensor2D {
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

/**
 * LayerNorm (Ba et al. 2016): y = w · n + b, n = (x − mean(x)) · r, r = 1 / √(var(x) + ε).
 * With g = dy·w: dx = r·(g − mean(g) − n·mean(g·n)), dw = Σ dy·n, db = Σ dy over the tokens.
 */
function layerNorm(x: Tensor2D, { w, b, epsilon, trained }: Normalisation & { b: Tensor1D }): Tensor2D {
  return differentiable<Tensor2D>(trained ? [x, w, b] : [x], () => {
    const centred = tf.sub(x, tf.mean(x, 1, true));
    const r = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), epsilon)); // [tokens, 1]
    const n = tf.mul(centred, r);
    return {
      value: tf.add(tf.mul(n, w), b),
      saved: [n, w, r],
      gradient(dy, [n, w, r]) {
        const g = tf.mul(dy, w!);
        const along = tf.add(tf.mean(g, 1, true), tf.mul(n!, tf.mean(tf.mul(g, n!), 1, true)));
        const dx = tf.mul(tf.sub(g, along), r!);
        return trained ? [dx, tf.sum(tf.mul(dy, n!), 0), tf.sum(dy, 0)] : [dx];
      },
    };
  });
}

/** Rows of length 1: x · r, r = 1 / √(Σx² + ε). @param x [rows, size] */
export const unitLength = (x: Tensor2D, epsilon: number): Tensor2D => scaledBy(x, epsilon, (values) => tf.sum(values, 1, true));

/** RMSNorm without weights: x · r, r = 1 / √(mean(x²) + ε). @param x [rows, size] */
export const unitVariance = (x: Tensor2D, epsilon: number): Tensor2D => scaledBy(x, epsilon, (values) => tf.mean(values, 1, true));

/**
 * x · w. With d = dy: dx = d·w, dw = Σ d·x over the tokens.
 * @param x [tokens, size]
 * @param w [size]
 */
export function scaledByWeights(x: Tensor2D, w: Tensor1D): Tensor2D {
  const trained = isTrained(w);
  return differentiable<Tensor2D>(trained ? [x, w] : [x], () => ({
    value: tf.mul(x, w),
    saved: [x, w],
    gradient: (dy, [x, w]) => (trained ? [tf.mul(dy, w!), tf.sum(tf.mul(dy, x!), 0)] : [tf.mul(dy, w!)]),
  }));
}

/**
 * y = x · r, r = 1 / √(total(x²) + ε) with the sum or the mean over each row: dx = r·(dy − y·total(dy·y)).
 * @param x [rows, size]
 */
function scaledBy(x: Tensor2D, epsilon: number, total: (values: Tensor2D) => Tensor): Tensor2D {
  return differentiable<Tensor2D>([x], () => {
    const r = tf.rsqrt(tf.add(total(tf.square(x)), epsilon)); // [rows, 1]
    return {
      value: tf.mul(x, r),
      saved: [x, r],
      gradient(dy, [x, r]) {
        const y: Tensor2D = tf.mul(x!, r!);
        return [tf.mul(tf.sub(dy, tf.mul(y, total(tf.mul(dy, y)))), r!)];
      },
    };
  });
}
