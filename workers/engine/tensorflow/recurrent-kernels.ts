/** The engine's own kernels for layers that keep a state. The gradient tape misses them: call them inside `differentiable`. */
import { backend } from './backend.ts';
import { ofLayer } from './native.ts';
import type { Tensor } from './tensorflow.ts';

/**
 * The delta rule of `deltaRule` (kernels/delta-rule.cc, kernels/gpu/delta-states.cc), only while recording.
 * @param inputs q, k, v, g, β and positions, as `deltaRule` takes them
 * @returns o, and v − Sᵀk for each token, both like v
 */
export const deltaRuleKernel = (inputs: [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]): [Tensor, Tensor] =>
  backend.executeMultipleOutputs('GraftDeltaRule', [], inputs, 2) as [Tensor, Tensor];

/** @param inputs those of `deltaRuleKernel`, the v − Sᵀk that it returned and the gradient of o. @returns the gradients of q, k, v, g and β */
export const deltaRuleGradientKernel = (inputs: Tensor[]): Tensor[] => backend.executeMultipleOutputs('GraftDeltaRuleGradient', [], inputs, 5);

/** The same without the correction: only o, and its gradient without the errors. */
export const stateSpaceKernel = (inputs: Tensor[]): Tensor => backend.executeSingleOutput('GraftStateSpace', [], inputs);
export const stateSpaceGradientKernel = (inputs: Tensor[]): Tensor[] => backend.executeMultipleOutputs('GraftStateSpaceGradient', [], inputs, 5);

/**
 * The delta rule for tokens whose texts' states are in the session's cache, where they are updated (kernels/cached-delta-net.cc).
 * @param inputs q, k, v, g, β of [tokens, 1, …], slots [tokens] int32 and positions [tokens] int32
 * @returns like v
 */
export const cachedDeltaRuleKernel = (inputs: Tensor[], { layer }: { layer: number }): Tensor =>
  backend.executeSingleOutput('GraftCachedDeltaRule', ofLayer(layer), inputs);

/** The same without the correction. */
export const cachedStateSpaceKernel = (inputs: Tensor[], { layer }: { layer: number }): Tensor =>
  backend.executeSingleOutput('GraftCachedStateSpace', ofLayer(layer), inputs);

/**
 * The sums of a causal convolution for tokens whose texts' last inputs are in the session's cache, where they are replaced.
 * @param inputs x [tokens, channels], w [channels, K], slots and positions as in `cachedDeltaRuleKernel`
 * @returns [tokens, channels]
 */
export const cachedConvolutionKernel = (inputs: Tensor[], { layer }: { layer: number }): Tensor =>
  backend.executeSingleOutput('GraftCachedConvolution', ofLayer(layer), inputs);
