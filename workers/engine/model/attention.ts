import { headsOf } from '../../../src/formats/mixers.ts';
import type { ModelConfig, SoftmaxAttention } from '../../../src/formats/model-config.ts';
import { type Tensor1D, type Tensor2D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';
import { gatedBy } from './activation.ts';
import { type AttentionPass, attend, cachedAttend, type Projections } from './attend.ts';
import { norm, unitVariance } from './norm.ts';
import type { Parameters } from './parameters.ts';
import { queriesKeysValues } from './queries-keys-values.ts';
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
    if (attention.queryKeyNorm === null || (attention.queryKeyNorm === 'rotated' && mixer.rotary === null)) return x;
    // Its length stays as it is when it is rotated afterwards.
    if (attention.queryKeyNorm === 'rotated') return normedHeads(x, config, headSize);
    const module = `${block}.${names.attention.norms![of]}`;
    if (attention.queryKeyNorm === 'all-heads') return norm(x, module, { config: config.norm, parameters });
    const perHead: Tensor2D = tf.reshape(x, [-1, headSize]); // [tokens · heads, headSize]
    return tf.reshape(norm(perHead, module, { config: config.norm, parameters }), x.shape);
  };
  const values = (v: Tensor2D): Tensor2D => (attention.valueNorm ? normedHeads(v, config, headSize) : v);
  const own = k === null ? shared.get(mixer.sharesWith!)! : { k: normed(k, 'key'), v: values(v ?? k) };
  shared.set(layer, own);
  const projections = withPrefix({ q: normed(q, 'query'), ...own }, { parameters, pass, layer });
  const { scale, softCap } = attention;
  const sinks = names.attention.sinks === undefined ? null : (parameters.weight(`${block}.${names.attention.sinks}`) as Tensor1D);
  const scores = { ...sizes, scale, softCap, sinks };
  // A layer that shares keys and values finds them where their own layer has put them.
  const cached = { ...pass, layer: mixer.sharesWith ?? layer };
  const attended = pass.slots === null ? attend(projections, scores, pass) : cachedAttend(projections, scores, { ...cached, slots: pass.slots });
  const gated = gate === undefined ? attended : gatedBy(attended, gate, 'sigmoid');
  return parameters.linear(`${block}.${names.attention.output}`, gated);
}

/** An RMSNorm without weights. @param x [tokens, heads · headSize] */
function normedHeads(x: Tensor2D, { norm: { epsilon } }: ModelConfig, headSize: number): Tensor2D {
  const perHead: Tensor2D = tf.reshape(x, [-1, headSize]); // [tokens · heads, headSize]
  return tf.reshape(unitVariance(perHead, epsilon), x.shape);
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
