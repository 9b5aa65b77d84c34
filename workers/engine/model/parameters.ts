/** The weights as one forward pass sees them: what a tuning method gives to the decoder. */
import type { Tensor, Tensor1D, Tensor2D } from '../tensorflow/tensorflow.ts';

export interface Parameters {
  /** @param name as in the checkpoint, e.g. `model.norm.weight` */
  weight(name: string): Tensor;
  /**
   * y = xWᵀ + b, plus whatever the tuning method adds.
   * @param module the name in the checkpoint without `.weight`, e.g. `model.layers.0.self_attn.q_proj`
   * @param x [tokens, in]
   * @returns [tokens, out]
   */
  linear(module: string, x: Tensor2D): Tensor2D;
  /**
   * Linear layers with the same input.
   * @param x [tokens, in]
   * @returns [tokens, out] for each
   */
  linears(modules: readonly string[], x: Tensor2D): Tensor2D[];
  /**
   * Of each choice, its row of x times its expert's matrix, plus whatever the tuning method adds.
   * @param weight  the matrices of all experts, e.g. `model.layers.0.mlp.experts.down_proj`
   * @param x       [rows, in]
   * @param experts [choices] int32; row r has the choices r·k to r·k + k − 1
   * @returns       [choices, out]
   */
  experts(weight: string, x: Tensor2D, experts: Tensor1D): Tensor2D;
  /** [count, hidden], the embeddings of virtual tokens, whose ids follow the vocabulary's. */
  virtualEmbeddings?: Tensor2D;
  /**
   * Keys, as after their rotation, and values of virtual tokens, [count, kvHeads · headSize] each.
   * @param layer its number, from 0
   */
  virtualKeysAndValues?(layer: number): { keys: Tensor2D; values: Tensor2D };
  /**
   * What the tuning method adds to the embeddings of tokens, before they are scaled.
   * @param ids [tokens] int32
   * @returns [tokens, hidden]
   */
  embeddingUpdate?(ids: Tensor1D): Tensor2D;
  /**
   * Noise for the embeddings of tokens, after they are scaled.
   * @param x [tokens, hidden]
   * @returns [tokens, hidden]
   */
  embeddingNoise?(x: Tensor2D): Tensor2D;
}
