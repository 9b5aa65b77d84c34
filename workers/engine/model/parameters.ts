/** One forward pass's view of the weights: what a tuning hands to the decoder. */
import type { Tensor, Tensor2D } from '../tensorflow/tensorflow.ts';

export interface Parameters {
  /** @param name as in the checkpoint, e.g. `model.norm.weight` */
  weight(name: string): Tensor;
  /**
   * y = xWᵀ + b, plus whatever the tuning adds to it.
   * @param module the checkpoint's name without `.weight`, e.g. `model.layers.0.self_attn.q_proj`
   * @param x [tokens, in]
   * @returns [tokens, out]
   */
  linear(module: string, x: Tensor2D): Tensor2D;
  /**
   * Layers that read the same input.
   * @param x [tokens, in]
   * @returns [tokens, out] for each
   */
  linears(modules: readonly string[], x: Tensor2D): Tensor2D[];
}
