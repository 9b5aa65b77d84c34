import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { differentiable } from '../differentiable.ts';
import { type Tensor, type Tensor2D, type Tensor4D, tf } from '../tensorflow.ts';
import type { Parameters } from './parameters.ts';
import { type RotaryTables, rotate, rotateGradient } from './rope.ts';

/** What every layer of one forward pass shares. */
export interface AttentionContext {
  rows: number;
  length: number;
  rotary: RotaryTables;
  /** [length, length]: 0 where a position may look, very negative to its right */
  causalMask: Tensor2D;
}

/** Far below any score, and finite: a row of −∞ alone would be NaN. */
const HIDDEN = -1e30;

/** @returns [length, length] */
export function causalMask(length: number): Tensor2D {
  return tf.tidy(() => {
    const positions = tf.range(0, length);
    const toTheRight = tf.greater(tf.reshape(positions, [1, length]), tf.reshape(positions, [length, 1]));
    return tf.mul(tf.cast(toTheRight, 'float32'), HIDDEN) as Tensor2D;
  });
}

/**
 * Causal self-attention with grouped queries (Ainslie et al. 2023). Padding stands on the right, where no real token looks.
 * @param x [tokens, hidden], tokens = rows · length
 * @returns [tokens, hidden]
 */
export function attention(x: Tensor2D, module: string, { config, parameters, context }: AttentionOptions): Tensor2D {
  const q = parameters.linear(`${module}.q_proj`, x); // [tokens, heads · headSize]
  const k = parameters.linear(`${module}.k_proj`, x); // [tokens, kvHeads · headSize]
  const v = parameters.linear(`${module}.v_proj`, x);
  return parameters.linear(`${module}.o_proj`, attend(q, k, v, config, context));
}

interface AttentionOptions {
  config: ModelConfig;
  parameters: Parameters;
  context: AttentionContext;
}

/**
 * softmax(QKᵀ / √headSize + mask)·V with Q and K rotated to their positions. With P the probabilities:
 * dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P·(dP − Σ dP·P), dQ = dS·K / √headSize, dK = dSᵀ·Q / √headSize, Q and K turned back.
 *
 * The query heads that share a key head stand below each other, [kvHeads, groups · length, headSize], so K and V are never repeated and
 * their gradients sum over the group by themselves.
 */
function attend(q: Tensor2D, k: Tensor2D, v: Tensor2D, config: ModelConfig, context: AttentionContext): Tensor2D {
  const { heads, kvHeads, headSize } = config;
  const { rows, length, rotary } = context;
  const groups = heads / kvHeads;
  const scale = 1 / Math.sqrt(headSize);

  const perToken = (x: Tensor, count: number): Tensor4D => tf.reshape(x, [rows, length, count, headSize]);
  /** [rows, length, count, headSize] → [rows, kvHeads, (count / kvHeads) · length, headSize] */
  const perHead = (x: Tensor4D): Tensor4D =>
    tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [rows, kvHeads, (x.shape[2] / kvHeads) * length, headSize]) as Tensor4D;
  const backToTokens = (x: Tensor, count: number): Tensor4D => tf.transpose(tf.reshape(x, [rows, count, length, headSize]) as Tensor4D, [0, 2, 1, 3]);
  const flat = (x: Tensor, count: number): Tensor2D => tf.reshape(x, [rows * length, count * headSize]);
  const scoresShape: [number, number, number, number] = [rows, kvHeads, groups * length, length];

  return differentiable<Tensor2D>([q, k, v], () => {
    const Q = perHead(tf.mul(rotate(perToken(q, heads), rotary), scale));
    const K = perHead(rotate(perToken(k, kvHeads), rotary));
    const V = perHead(perToken(v, kvHeads));
    const scores = tf.reshape(tf.matMul(Q, K, false, true), [rows * heads, length, length]);
    const P = tf.reshape(tf.softmax(tf.add(scores, context.causalMask)), scoresShape) as Tensor4D;
    return {
      value: flat(backToTokens(tf.matMul(P, V), heads), heads),
      saved: [Q, K, V, P, rotary.cos, rotary.sin],
      gradient(dy, [Q, K, V, P, cos, sin]) {
        const kept = { cos, sin } as RotaryTables; // the pass's own are gone by now
        const dO = perHead(perToken(dy, heads));
        const dV = tf.matMul(P!, dO, true, false);
        const dP = tf.matMul(dO, V!, false, true);
        const weighted = tf.mul(dP, P!);
        const dS = tf.sub(weighted, tf.mul(P!, tf.sum(weighted, 3, true)));
        const dQ = tf.mul(tf.matMul(dS, K!), scale);
        const dK = tf.matMul(dS, Q!, true, false); // Q carries the scale
        return [
          flat(rotateGradient(backToTokens(dQ, heads), kept), heads),
          flat(rotateGradient(backToTokens(dK, kvHeads), kept), kvHeads),
          flat(backToTokens(dV, kvHeads), kvHeads),
        ];
      },
    };
  });
}
