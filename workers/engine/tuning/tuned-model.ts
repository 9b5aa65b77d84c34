/** A model with what is trained in it: the one door through which the loop, evaluation, proof and generation use the maths. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import type { Batch } from '../data/batch.ts';
import type { Objective, Sums } from '../objectives/objective.ts';
import type { DropoutPosition } from './trained.ts';

/** A tensor as files have it, row-major. */
export interface TensorValues {
  shape: readonly number[];
  data: Float32Array;
}

export interface TunedModel {
  readonly config: ModelConfig;
  /** null: the base alone. */
  readonly tuning: ResolvedTuning | null;
  /**
   * What is trained, sorted by name. LoRA: the names of PEFT's file, `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` [r, in];
   * full fine-tuning: the checkpoint's own names.
   */
  readonly trainable: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  readonly trainableParameters: number;
  readonly totalParameters: number;
  readonly objective: Objective;
  /** Without dropout and without gradients. */
  evaluate(batch: Batch): Sums;
  /** @returns [vocab], the logits that predict the token after the last of `inputIds` */
  nextTokenLogits(inputIds: Int32Array): Float32Array;
  /** What is trained, as it is now, by name. */
  read(): Map<string, TensorValues>;
  /** Sets what is trained. @param values every one by name, row-major */
  assign(values: ReadonlyMap<string, Float32Array>): void;
  dispose(): void;
}

/** First and second moment of a parameter's gradient (AdamW), row-major. */
export interface MomentValues {
  m: Float32Array;
  v: Float32Array;
}

export interface Update {
  learningRate: number;
  /** Of the gradients' global norm; 0 turns clipping off. */
  maxNorm: number;
  /** `Sums.weight` of the batches behind the gradients, by which their sum is divided. */
  weight: number;
}

/** A model and its optimizer. */
export interface LearningModel extends TunedModel {
  /** Updates done. */
  readonly steps: number;
  /** Adds the gradients of a pass's loss to those since the last update. */
  accumulate(batch: Batch, position: DropoutPosition): Sums;
  /** One step of AdamW with the mean of the gradients, clipped. @returns their norm before that; NaN or infinite when one of them is */
  update(update: Update): number;
  /** The optimizer's, by parameter. */
  moments(): Map<string, MomentValues>;
  /** Resumes where an earlier run stopped. */
  restore(steps: number, parameters: ReadonlyMap<string, Float32Array>, moments: ReadonlyMap<string, MomentValues>): void;
}
