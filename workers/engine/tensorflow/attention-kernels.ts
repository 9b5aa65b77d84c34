/** The engine's own kernels for softmax attention. The gradient tape misses them: call them inside `differentiable`. */
import { backend, type OpAttribute } from './backend.ts';
import { ofLayer } from './native.ts';
import type { Tensor } from './tensorflow.ts';

const { TF_ATTR_TYPE, TF_ATTR_INT, TF_ATTR_FLOAT, TF_FLOAT } = backend.binding;
const T: OpAttribute = { name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT };

export interface AttentionOptions {
  /** Factor of the scores. */
  scale: number;
  softCap: number | null;
  /** Number of tokens that a token attends to, including itself; null for all. */
  windowTokens: number | null;
}

const attentionAttributes = ({ scale, softCap, windowTokens }: AttentionOptions): OpAttribute[] => [
  { name: 'scale', type: TF_ATTR_FLOAT, value: scale },
  { name: 'soft_cap', type: TF_ATTR_FLOAT, value: softCap ?? 0 },
  { name: 'window', type: TF_ATTR_INT, value: windowTokens ?? 0 },
];

/** How many tensors the sinks are. */
const sinkCount = (sinks: readonly Tensor[]): OpAttribute => ({ name: 'N', type: TF_ATTR_INT, value: sinks.length });

/**
 * Causal attention that stores no scores, or on a GPU those of a block of queries (kernels/attention.cc, kernels/gpu/blocked-attention.cc); only while
 * recording.
 * @param q        [rows, length, heads, headSize]
 * @param k, v     [rows, length, kvHeads, headSize]
 * @param segments [rows, length] int32, the text that each token belongs to; its tokens are adjacent
 * @param sinks    [heads], for each a score beside those of its queries, or nothing
 * @returns [rows, length, heads, headSize], and log Σ exp(score) for each query, [rows, heads, length]
 */
export function attentionKernel(
  [q, k, v, segments, ...sinks]: [Tensor, Tensor, Tensor, Tensor, ...Tensor[]],
  options: AttentionOptions,
): [Tensor, Tensor] {
  const attributes = [T, sinkCount(sinks), ...attentionAttributes(options)];
  return backend.executeMultipleOutputs('GraftAttention', attributes, [q, k, v, segments, ...sinks], 2) as [Tensor, Tensor];
}

/** @returns the gradients of q, k and v, from the inputs of `attentionKernel`, the result O and the logs that it returned, and the gradient of O */
export function attentionGradientKernel(
  [q, k, v, segments]: [Tensor, Tensor, Tensor, Tensor],
  [O, logs, dO]: [Tensor, Tensor, Tensor],
  options: AttentionOptions,
): [Tensor, Tensor, Tensor] {
  const inputs = [q, k, v, segments, logs, dO, O];
  return backend.executeMultipleOutputs('GraftAttentionGradient', [T, ...attentionAttributes(options)], inputs, 3) as [Tensor, Tensor, Tensor];
}

/**
 * Attention to the session's cache, to which the new keys and values are added (kernels/cached-attention.cc); only if `ownKernels()`.
 * @param q         [tokens, heads, headSize]
 * @param k, v      [tokens, kvHeads, headSize]
 * @param slots     [tokens] int32, a number for each token's text
 * @param positions [tokens] int32, in its text
 * @param sinks     as `attentionKernel` takes them
 * @returns [tokens, heads, headSize]
 */
export function cachedAttentionKernel(
  [q, k, v, slots, positions, ...sinks]: [Tensor, Tensor, Tensor, Tensor, Tensor, ...Tensor[]],
  { layer, ...options }: AttentionOptions & { layer: number },
): Tensor {
  const attributes = [sinkCount(sinks), ...attentionAttributes(options), ...ofLayer(layer)];
  return backend.executeSingleOutput('GraftCachedAttention', attributes, [q, k, v, slots, positions, ...sinks]);
}
