/** A model with what is trained in it: the one door through which the loop, evaluation and generation use the maths. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning.ts';
import type { Batch } from '../data/batch.ts';
import type { Tensor, Variable } from '../tensorflow.ts';

export interface Losses {
  /** Cross-entropy summed over the supervised tokens, nats. */
  lossSum: number;
  /** Supervised tokens whose most probable prediction was right. */
  correct: number;
  supervisedTokens: number;
}

/** Names the random numbers of one micro-batch, so that the same place in a run always draws the same. */
export interface DropoutPosition {
  seed: number;
  step: number;
  microBatch: number;
}

export interface TunedModel {
  readonly config: ModelConfig;
  readonly tuning: ResolvedTuning;
  /**
   * What is trained, sorted by name. LoRA: the names of PEFT's file, `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` [r, in];
   * full fine-tuning: the checkpoint's own names.
   */
  readonly trainable: ReadonlyMap<string, Variable>;
  readonly trainableParameters: number;
  readonly totalParameters: number;
  /** Without dropout and without gradients. */
  evaluate(batch: Batch): Losses;
  /** Gradients of the summed loss by name; the caller owns them. */
  gradients(batch: Batch, dropout: DropoutPosition): Losses & { gradients: Map<string, Tensor> };
  /** @returns [vocab], the logits that predict the token after the last of `inputIds` */
  nextTokenLogits(inputIds: Int32Array): Float32Array;
  /** @returns [length, vocab], row-major */
  allLogits(inputIds: Int32Array): Float32Array;
  dispose(): void;
}

/** A base model with a fresh adapter, or ready for full fine-tuning. */
export function openTunedModel(options: { modelDir: string; tuning: ResolvedTuning; seed: number }): TunedModel {
  throw new Error(`not built: ${options.modelDir}`);
}

/** A base model alone, or with a PEFT adapter; nothing is trainable. */
export function openForInference(options: { modelDir: string; adapterDir?: string }): TunedModel {
  throw new Error(`not built: ${options.modelDir}`);
}
