import { headsOf } from '../../../src/formats/mixers.ts';
import type { ModelConfig, SoftmaxAttention } from '../../../src/formats/model-config.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { attentionGradientKernel, attentionKernel, cachedAttentionKernel, ownKernels } from '../tensorflow/native.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';
import { gatedBy } from './activation.ts';
import { norm, unitVariance } from './norm.ts';
import type { Parameters } from './parameters.ts';
import { queriesKeysValues } from './queries-keys-values.ts';
import { type RotaryTables, rotate, rotateGradient, rotateQueries, rotateQueriesGradient, tensorsOf, withTensors } from './rope.ts';
import { withVirtualRows } from './virtual-rows.ts';

/** Far below any score, yet finite: softmax over a row of −∞ is NaN. */
const HIDDEN = -1e30;

/** The place of each token in a grid; both are [rows, length] int32. */
export interface TokenPlaces {
  /** Position in its own text, from 0. */
  positions: Tensor2D;
  /** Index of its text in the row; tokens attend to their own text only. */
  segments: Tensor2D;
}

/**
 * @param windowTokens how many tokens back a token attends, itself included
 * @returns [rows, 1, length, length]: 0 where a token may attend, very negative elsewhere
 */
export function attentionMask({ positions, segments }: TokenPlaces, windowTokens: number | null): Tensor4D {
  const [rows, length] = positions.shape;
  return tf.tidy(() => {
    const ofQuery = (x: Tensor2D) => tf.reshape(x, [rows, 1, length, 1]);
    const ofKey = (x: Tensor2D) => tf.reshape(x, [rows, 1, 1, length]);
    const behind = tf.sub(ofQuery(positions), ofKey(positions)); // distance of the key behind the query
    const elsewhere = tf.logicalOr(tf.less(behind, 0), tf.notEqual(ofQuery(segments), ofKey(segments)));
    const hidden = windowTokens === null ? elsewhere : tf.logicalOr(elsewhere, tf.greaterEqual(behind, windowTokens));
    return tf.mul(tf.cast(hidden, 'float32'), HIDDEN) as Tensor4D;
  });
}

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

/** Keys and values of a pass, by layer, for later layers that share them. */
export type KeysAndValues = Map<number, { k: Tensor2D; v: Tensor2D }>;

interface Attended {
  config: ModelConfig;
  mixer: SoftmaxAttention;
  shared: KeysAndValues;
  parameters: Parameters;
  pass: AttentionPass;
  /** Its number, from 0. */
  layer: number;
}

/** The part of the configuration that `attend` uses. */
type Heads = ReturnType<typeof headsOf> & Pick<ModelConfig['attention'], 'scale' | 'softCap'>;

/**
 * Causal self-attention with grouped queries (Ainslie et al. 2023). Padding is on the right, where no real token attends.
 * @param x     [tokens, hidden], tokens = rows · length
 * @param block the block's name
 * @returns     [tokens, hidden]
 */
export function attention(x: Tensor2D, block: string, { config, mixer, shared, parameters, pass, layer }: Attended): Tensor2D {
  const { names, attention } = config;
  const sizes = headsOf(config, mixer);
  const { headSize } = sizes;
  const [q, k, v, gate] = queriesKeysValues(x, block, { config, mixer, parameters });
  const normed = (x: Tensor2D, of: 'query' | 'key'): Tensor2D => {
    if (attention.queryKeyNorm === null) return x;
    const module = `${block}.${names.attention.norms![of]}`;
    if (attention.queryKeyNorm === 'all-heads') return norm(x, module, { config: config.norm, parameters });
    const perHead: Tensor2D = tf.reshape(x, [-1, headSize]); // [tokens · heads, headSize]
    return tf.reshape(norm(perHead, module, { config: config.norm, parameters }), x.shape);
  };
  const values = (v: Tensor2D): Tensor2D => (attention.valueNorm ? normedValues(v, config, headSize) : v);
  const own = k === null ? shared.get(mixer.sharesWith!)! : { k: normed(k, 'key'), v: values(v ?? k) };
  shared.set(layer, own);
  const projections = withPrefix({ q: normed(q, 'query'), ...own }, { parameters, pass, layer });
  const { scale, softCap } = attention;
  const scores = { ...sizes, scale, softCap };
  // A layer that shares keys and values finds them where their own layer has put them.
  const cached = { ...pass, layer: mixer.sharesWith ?? layer };
  const attended = pass.slots === null ? attend(projections, scores, pass) : cachedAttend(projections, scores, { ...cached, slots: pass.slots });
  const gated = gate === undefined ? attended : gatedBy(attended, gate, 'sigmoid');
  return parameters.linear(`${block}.${names.attention.output}`, gated);
}

/** @param v [tokens, kvHeads · headSize] */
function normedValues(v: Tensor2D, { norm: { epsilon } }: ModelConfig, headSize: number): Tensor2D {
  const perHead: Tensor2D = tf.reshape(v, [-1, headSize]); // [tokens · kvHeads, headSize]
  return tf.reshape(unitVariance(perHead, epsilon), v.shape);
}

/** Puts the keys and values of virtual tokens in the place of theirs. */
function withPrefix(
  { q, k, v }: Projections,
  { parameters, pass: { virtual }, layer }: Pick<Attended, 'parameters' | 'pass' | 'layer'>,
): Projections {
  if (virtual === null || parameters.virtualKeysAndValues === undefined) return { q, k, v };
  const { keys, values } = parameters.virtualKeysAndValues(layer);
  return { q, k: withVirtualRows(k, keys, virtual), v: withVirtualRows(v, values, virtual) };
}

/** q is [tokens, heads · headSize]; k and v are [tokens, kvHeads · headSize]. */
interface Projections {
  q: Tensor2D;
  k: Tensor2D;
  v: Tensor2D;
}

/**
 * softmax(scale·QKᵀ + mask)·V with Q and K rotated to their positions; a soft cap c turns a score s into c·tanh(s / c) before the mask.
 * With P the probabilities: dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P·(dP − Σ dP·P), times 1 − tanh² under a cap, dQ = scale·dS·K, dK = scale·dSᵀ·Q; dQ and dK
 * are then rotated back.
 *
 * The query heads that share a key head are stacked along the length, [kvHeads, groups · length, headSize], so K and V are never repeated and
 * their gradients sum over the group automatically.
 */
function attend(projections: Projections, sizes: Heads, pass: AttentionPass): Tensor2D {
  if (ownKernels()) return fusedAttend(projections, sizes, pass);
  const { q, k, v } = projections;
  const { rows, length, rotary, mask } = pass;
  const { heads, kvHeads, headSize, scale, softCap } = sizes;
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

  return differentiable<Tensor2D>([q, k, v], () => {
    const [rotatedQ, rotatedK] = rotatedBoth([perToken(q, heads), perToken(k, kvHeads)], rotary);
    const Q = perHead(tf.mul(rotatedQ, scale));
    const K = perHead(rotatedK);
    const V = perHead(perToken(v, kvHeads));
    const products = ofHeads(tf.matMul(Q, K, false, true));
    const tanh = softCap === null ? null : tf.tanh(tf.div(products, softCap));
    const scores = tanh === null ? products : tf.mul(tanh, softCap!);
    const P = tf.softmax(tf.add(scores, mask)) as Tensor4D;
    return {
      value: flat(backToTokens(tf.matMul(ofGroups(P), V), heads), heads),
      // The pass's tables are disposed of before the gradient is taken.
      saved: [Q, K, V, P, ...(tanh === null ? [] : [tanh]), ...(rotary === null ? [] : tensorsOf(rotary))],
      gradient(dy, [Q, K, V, P, ...rest]) {
        const kept = rotary === null ? null : withTensors(rotary, rest.slice(softCap === null ? 0 : 1));
        const dO = perHead(perToken(dy, heads));
        const dV = tf.matMul(ofGroups(P!), dO, true, false);
        const dP = ofHeads(tf.matMul(dO, V!, false, true));
        const dScores = tf.mul(P!, tf.sub(dP, tf.sum(tf.mul(dP, P!), 3, true)));
        const dS = ofGroups(softCap === null ? dScores : tf.mul(dScores, tf.sub(1, tf.square(rest[0]!))));
        const dQ = tf.mul(tf.matMul(dS, K!), scale);
        const dK = tf.matMul(dS, Q!, true, false); // Q carries the scale
        const [dq, dk] = rotatedBack([backToTokens(dQ, heads), backToTokens(dK, kvHeads)], kept);
        return [flat(dq, heads), flat(dk, kvHeads), flat(backToTokens(dV, kvHeads), kvHeads)];
      },
    };
  });
}

/** Queries and keys, rotated to their positions. */
const rotatedBoth = ([q, k]: [Tensor4D, Tensor4D], rotary: RotaryTables | null): [Tensor4D, Tensor4D] =>
  rotary === null ? [q, k] : [rotateQueries(q, rotary), rotate(k, rotary)];

/** The gradients of `rotatedBoth`. */
const rotatedBack = ([dq, dk]: [Tensor4D, Tensor4D], rotary: RotaryTables | null): [Tensor4D, Tensor4D] =>
  rotary === null ? [dq, dk] : [rotateQueriesGradient(dq, rotary), rotateGradient(dk, rotary)];

/** The same in one kernel, which never stores the scores, needs no mask and skips what the mask would hide. */
function fusedAttend({ q, k, v }: Projections, sizes: Heads, { rows, length, rotary, segments, windowTokens }: AttentionPass): Tensor2D {
  const { heads, kvHeads, headSize, scale, softCap } = sizes;
  const options = { scale, softCap, windowTokens };
  const perToken = (x: Tensor, count: number): Tensor4D => tf.reshape(x, [rows, length, count, headSize]);
  const flat = (x: Tensor, count: number): Tensor2D => tf.reshape(x, [rows * length, count * headSize]);
  return differentiable<Tensor2D>([q, k, v], () => {
    const [Q, K] = rotatedBoth([perToken(q, heads), perToken(k, kvHeads)], rotary);
    const V = perToken(v, kvHeads);
    const [O, logs] = attentionKernel([Q, K, V, segments], options);
    return {
      value: flat(O, heads),
      saved: [Q, K, V, segments, logs, ...(rotary === null ? [] : tensorsOf(rotary))],
      gradient(dy, [Q, K, V, segments, logs, ...tables]) {
        const [dQ, dK, dV] = attentionGradientKernel([Q!, K!, V!, segments!], [logs!, perToken(dy, heads)], options);
        const [dq, dk] = rotatedBack([dQ as Tensor4D, dK as Tensor4D], rotary && withTensors(rotary, tables));
        return [flat(dq, heads), flat(dk, kvHeads), flat(dV, kvHeads)];
      },
    };
  });
}

/** The same for tokens whose texts are in the session's cache, without a gradient. */
function cachedAttend(
  { q, k, v }: Projections,
  { heads, kvHeads, headSize, scale, softCap }: Heads,
  { rows, positions, rotary, slots, windowTokens, layer }: AttentionPass & { slots: Tensor1D; layer: number },
): Tensor2D {
  const perToken = (x: Tensor2D, count: number): Tensor4D => tf.reshape(x, [rows, 1, count, headSize]);
  const [rotatedQ, rotatedK] = rotatedBoth([perToken(q, heads), perToken(k, kvHeads)], rotary);
  const withoutLength = (x: Tensor4D): Tensor => tf.reshape(x, [rows, x.shape[2], headSize]);
  const values = tf.reshape(v, [rows, kvHeads, headSize]);
  const places = tf.reshape(positions, [rows]);
  const options = { scale, softCap, windowTokens, layer };
  return tf.reshape(cachedAttentionKernel([withoutLength(rotatedQ), withoutLength(rotatedK), values, slots, places], options), [
    rows,
    heads * headSize,
  ]);
}
