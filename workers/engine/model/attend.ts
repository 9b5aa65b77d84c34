/** Softmax attention of queries to keys and values: plain, in one kernel, and to a session's cache. */
import type { headsOf } from '../../../src/formats/mixers.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { attentionGradientKernel, attentionKernel, cachedAttentionKernel } from '../tensorflow/attention-kernels.ts';
import { differentiable, isTrained } from '../tensorflow/differentiable.ts';
import { isRecorded } from '../tensorflow/native.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';
import { type RotaryTables, rotate, rotateGradient, rotateQueries, rotateQueriesGradient, tensorsOf, withTensors } from './rope.ts';

/** What a layer needs to know about the current pass. */
export interface AttentionPass {
  rows: number;
  length: number;
  /** null: queries and keys are not rotated. */
  rotary: RotaryTables | null;
  /** [rows, 1, length, length] */
  mask: Tensor4D;
  /** [rows, length] int32; the mask is made of these and `windowTokens`. */
  segments: Tensor2D;
  positions: Tensor2D;
  /** `TokenGrid.slots` */
  slots: Tensor1D | null;
  windowTokens: number | null;
  /** [tokens] int32, the number of each virtual token, negative for others; null if none has keys of its own. */
  virtual: Tensor1D | null;
}

/** Of a layer: what `attend` uses of its configuration, and its sinks, [heads]. */
export type Heads = ReturnType<typeof headsOf> & Pick<ModelConfig['attention'], 'scale' | 'softCap'> & { sinks: Tensor1D | null };

/** q is [tokens, heads · headSize]; k and v are [tokens, kvHeads · headSize]. */
export interface Projections {
  q: Tensor2D;
  k: Tensor2D;
  v: Tensor2D;
}

/**
 * softmax(scale·QKᵀ + mask)·V with Q and K rotated to their positions; a soft cap c turns a score s into c·tanh(s / c) before the mask.
 * With P the probabilities: dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P·(dP − Σ dP·P), times 1 − tanh² under a cap, dQ = scale·dS·K, dK = scale·dSᵀ·Q; dQ and dK
 * are then rotated back. A sink is a score beside those of a query, whose value is 0: it is in the softmax's sum alone. With p the probability that it
 * has, dsink = −Σ p·Σ dP·P over the queries.
 *
 * The query heads that share a key head are stacked along the length, [kvHeads, groups · length, headSize], so K and V are never repeated and
 * their gradients sum over the group automatically.
 */
export function attend(projections: Projections, sizes: Heads, pass: AttentionPass): Tensor2D {
  if (isRecorded()) return fusedAttend(projections, sizes, pass);
  const { q, k, v } = projections;
  const { rows, length, rotary, mask } = pass;
  const { heads, kvHeads, headSize, scale, softCap, sinks } = sizes;
  const groups = heads / kvHeads;

  const perToken = (x: Tensor, count: number): Tensor4D => tf.reshape(x, [rows, length, count, headSize]);
  /** [rows, length, count, headSize] → [rows, kvHeads, (count / kvHeads) · length, headSize] */
  const perHead = (x: Tensor4D): Tensor4D =>
    tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [rows, kvHeads, (x.shape[2] / kvHeads) * length, headSize]) as Tensor4D;
  const backToTokens = (x: Tensor, count: number): Tensor4D => tf.transpose(tf.reshape(x, [rows, count, length, headSize]) as Tensor4D, [0, 2, 1, 3]);
  const flat = (x: Tensor, count: number): Tensor2D => tf.reshape(x, [rows * length, count * headSize]);
  /** The shapes of scores: for products, and for softmax. */
  const ofGroups = (x: Tensor): Tensor4D => tf.reshape(x, [rows, kvHeads, groups * length, length]);
  const ofHeads = (x: Tensor): Tensor4D => tf.reshape(x, [rows, heads, length, length]);

  const trained = trainedOf(sinks);
  return differentiable<Tensor2D>([q, k, v, ...trained], () => {
    const [rotatedQ, rotatedK] = rotatedBoth([perToken(q, heads), perToken(k, kvHeads)], rotary);
    const Q = perHead(tf.mul(rotatedQ, scale));
    const K = perHead(rotatedK);
    const V = perHead(perToken(v, kvHeads));
    const products = ofHeads(tf.matMul(Q, K, false, true));
    const tanh = softCap === null ? null : tf.tanh(tf.div(products, softCap));
    const scores = tanh === null ? products : tf.mul(tanh, softCap!);
    const [P, p] = probabilities(tf.add(scores, mask), sinks);
    return {
      value: flat(backToTokens(tf.matMul(ofGroups(P), V), heads), heads),
      // The pass's tables are disposed of before the gradient is taken.
      saved: [Q, K, V, P, ...listed(p), ...listed(tanh), ...(rotary === null ? [] : tensorsOf(rotary))],
      gradient(dy, [Q, K, V, P, ...rest]) {
        const [ofSinks, ofCap] = [rest.splice(0, listed(p).length), rest.splice(0, listed(tanh).length)];
        const kept = rotary === null ? null : withTensors(rotary, rest);
        const dO = perHead(perToken(dy, heads));
        const dV = tf.matMul(ofGroups(P!), dO, true, false);
        const dP = ofHeads(tf.matMul(dO, V!, false, true));
        const sums = tf.sum(tf.mul(dP, P!), 3, true); // [rows, heads, length, 1]
        const dScores = tf.mul(P!, tf.sub(dP, sums));
        const dS = ofGroups(softCap === null ? dScores : tf.mul(dScores, tf.sub(1, tf.square(ofCap[0]!))));
        const dQ = tf.mul(tf.matMul(dS, K!), scale);
        const dK = tf.matMul(dS, Q!, true, false); // Q carries the scale
        const [dq, dk] = rotatedBack([backToTokens(dQ, heads), backToTokens(dK, kvHeads)], kept);
        const gradients = [flat(dq, heads), flat(dk, kvHeads), flat(backToTokens(dV, kvHeads), kvHeads)];
        return [...gradients, ...trained.map(() => tf.neg(tf.sum(tf.mul(ofSinks[0]!, sums), [0, 2, 3])))];
      },
    };
  });
}

const listed = <T>(one: T | null): T[] => (one === null ? [] : [one]);
const trainedOf = (sinks: Tensor1D | null): Tensor1D[] => listed(sinks).filter(isTrained);

/**
 * @param scores [rows, heads, queries, keys]
 * @param sinks  [heads]
 * @returns the scores' probabilities, and the sinks', [rows, heads, queries, 1]
 */
function probabilities(scores: Tensor, sinks: Tensor1D | null): [Tensor4D, Tensor | null] {
  if (sinks === null) return [tf.softmax(scores) as Tensor4D, null];
  const ofHeads = tf.reshape(sinks, [1, -1, 1, 1]);
  const largest = tf.maximum(tf.max(scores, 3, true), ofHeads);
  const [powers, sink] = [tf.exp(tf.sub(scores, largest)), tf.exp(tf.sub(ofHeads, largest))];
  const sum = tf.add(tf.sum(powers, 3, true), sink);
  return [tf.div(powers, sum) as Tensor4D, tf.div(sink, sum)];
}

/** Queries and keys, rotated to their positions. */
const rotatedBoth = ([q, k]: [Tensor4D, Tensor4D], rotary: RotaryTables | null): [Tensor4D, Tensor4D] =>
  rotary === null ? [q, k] : [rotateQueries(q, rotary), rotate(k, rotary)];

/** The gradients of `rotatedBoth`. */
const rotatedBack = ([dq, dk]: [Tensor4D, Tensor4D], rotary: RotaryTables | null): [Tensor4D, Tensor4D] =>
  rotary === null ? [dq, dk] : [rotateQueriesGradient(dq, rotary), rotateGradient(dk, rotary)];

/** The same in one kernel, which never stores the scores, needs no mask and skips what the mask would hide. */
function fusedAttend({ q, k, v }: Projections, sizes: Heads, { rows, length, rotary, segments, windowTokens }: AttentionPass): Tensor2D {
  const { heads, kvHeads, headSize, scale, softCap, sinks } = sizes;
  const options = { scale, softCap, windowTokens };
  const perToken = (x: Tensor, count: number): Tensor4D => tf.reshape(x, [rows, length, count, headSize]);
  const flat = (x: Tensor, count: number): Tensor2D => tf.reshape(x, [rows * length, count * headSize]);
  const trained = trainedOf(sinks);
  return differentiable<Tensor2D>([q, k, v, ...trained], () => {
    const [Q, K] = rotatedBoth([perToken(q, heads), perToken(k, kvHeads)], rotary);
    const V = perToken(v, kvHeads);
    const [O, logs] = attentionKernel([Q, K, V, segments, ...listed(sinks)], options);
    return {
      value: flat(O, heads),
      saved: [Q, K, V, segments, O, logs, ...trained, ...(rotary === null ? [] : tensorsOf(rotary))],
      gradient(dy, [Q, K, V, segments, O, logs, ...rest]) {
        const [ofSinks] = rest.splice(0, trained.length);
        const [dQ, dK, dV] = attentionGradientKernel([Q!, K!, V!, segments!], [O!, logs!, perToken(dy, heads)], options);
        const [dq, dk] = rotatedBack([dQ as Tensor4D, dK as Tensor4D], rotary && withTensors(rotary, rest));
        const gradients = [flat(dq, heads), flat(dk, kvHeads), flat(dV, kvHeads)];
        return [...gradients, ...trained.map(() => sinksGradient(ofSinks as Tensor1D, logs!, tf.sum(tf.mul(perToken(dy, heads), O!), 3)))];
      },
    };
  });
}

/**
 * −Σ e^(sink − log)·Σ dO·O over the queries; Σ dO·O is Σ dP·P.
 * @param logs  [rows, heads, length]
 * @param sums  Σ dO·O, [rows, length, heads]
 * @returns     [heads]
 */
function sinksGradient(sinks: Tensor1D, logs: Tensor, sums: Tensor): Tensor {
  const p = tf.exp(tf.sub(sinks, tf.transpose(logs, [0, 2, 1]))); // [rows, length, heads]
  return tf.neg(tf.sum(tf.mul(p, sums), [0, 1]));
}

/** The same for tokens whose texts are in the session's cache, without a gradient. */
export function cachedAttend(
  { q, k, v }: Projections,
  { heads, kvHeads, headSize, scale, softCap, sinks }: Heads,
  { rows, positions, rotary, slots, windowTokens, layer }: AttentionPass & { slots: Tensor1D; layer: number },
): Tensor2D {
  const perToken = (x: Tensor2D, count: number): Tensor4D => tf.reshape(x, [rows, 1, count, headSize]);
  const [rotatedQ, rotatedK] = rotatedBoth([perToken(q, heads), perToken(k, kvHeads)], rotary);
  const withoutLength = (x: Tensor4D): Tensor => tf.reshape(x, [rows, x.shape[2], headSize]);
  const values = tf.reshape(v, [rows, kvHeads, headSize]);
  const places = tf.reshape(positions, [rows]);
  const options = { scale, softCap, windowTokens, layer };
  const inputs = [withoutLength(rotatedQ), withoutLength(rotatedK), values, slots, places] as const;
  return tf.reshape(cachedAttentionKernel([...inputs, ...listed(sinks)], options), [rows, heads * headSize]);
}
