/** A model and its trained parameters: the only interface through which the loop, evaluation, proof and generation use the maths. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import type { Batch } from '../data/batch.ts';
import type { Objective, Sums } from '../objectives/objective.ts';
import type { DropoutPosition } from './trained.ts';

/** A tensor as files store it, row-major. */
export interface TensorValues {
  shape: readonly number[];
  data: Float32Array;
}

export interface LogitsOptions {
  /** Leaves out the virtual tokens that a method puts before the text. Without them, prompt and prefix tuning are the base model. */
  withoutVirtualTokens?: boolean;
}

/** More of a text whose earlier tokens are remembered. */
export interface TextPiece {
  /** Names the text until it is forgotten. */
  slot: number;
  ids: readonly number[];
  /** Of the first of them in the text. */
  position: number;
}

/** Texts that a model continues without reading them again. */
export interface TextMemory {
  /** @returns the most probable token after each piece */
  next(pieces: readonly TextPiece[]): Int32Array;
  forget(slots: readonly number[]): void;
}

/** A map, or what computes a value when it is asked for. */
export type NamedValues = Pick<ReadonlyMap<string, Float32Array>, 'has' | 'get'>;

export interface TunedModel {
  readonly config: ModelConfig;
  /** null for the base model alone. */
  readonly tuning: ResolvedTuning | null;
  /**
   * Trained parameters, sorted by name. LoRA uses the names of PEFT's file, `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` [r, in];
   * full fine-tuning uses the names of the checkpoint.
   */
  readonly trainable: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  readonly trainableParameters: number;
  readonly totalParameters: number;
  readonly objective: Objective;
  /** Computes the objective's sums without dropout and without gradients. */
  evaluate(batch: Batch): Sums;
  /** @returns [vocab], the logits that predict the token after the last of `inputIds` */
  nextTokenLogits(inputIds: Int32Array, options?: LogitsOptions): Float32Array;
  /** @returns the most probable token after each of the texts, which are computed in one pass */
  nextTokens(texts: readonly Int32Array[]): Int32Array;
  /** Absent where texts have to be read again for each token. */
  readonly textMemory?: TextMemory | null;
  /** Current values of the trained parameters, by name. */
  read(): Map<string, TensorValues>;
  /** As `read`, but each value is read when it is asked for, for writing a large model; absent where all is small. The model must not change before. */
  readLazily?(): Map<string, TensorValues>;
  /** Values of what the method added without training it, by name. */
  constants(): Map<string, TensorValues>;
  /** Sets the trained parameters. @param values of all of them, by name, row-major, asked for one after another; may have those of constants too */
  assign(values: NamedValues): void;
  dispose(): void;
}

/** A moment in 8 bits, row-major, as bitsandbytes holds it: a code for each element, and a scale for each block of 256 elements. */
export interface CodedMoment {
  codes: Uint8Array;
  absmax: Float32Array;
}

export type Moment = Float32Array | CodedMoment;

/** First and second moment of a parameter's gradient (AdamW), row-major. */
export interface MomentValues {
  m: Moment;
  v: Moment;
}

export interface Update {
  learningRate: number;
  /** Largest global norm of the gradients; 0 turns clipping off. */
  maxNorm: number;
  /** Total `Sums.weight` of the batches; the sum of their gradients is divided by it. */
  weight: number;
}

/** What came of a step that was taken within its pass. */
export interface WholeStep {
  sums: Sums;
  /** Of the gradients' mean. Not finite if the step was not taken as a whole. */
  norm: number;
  /** Whether some parameters have changed and others have not, because a gradient was not finite. The model is then of no use. */
  isTorn: boolean;
}

/** A model and its optimizer. */
export interface LearningModel extends TunedModel {
  /** Whether the model that the objective compares with is gone after the first step: `Batch.reference` is then to be computed before it. */
  readonly outgrowsReference: boolean;
  /** @returns what the objective compares a batch with, as `Batch.reference`; null if it compares with nothing */
  referenceOf(batch: Batch): Float32Array | null;
  /** Number of updates so far, on which AdamW's bias corrections depend. */
  readonly steps: number;
  /** Runs a training pass and adds its gradients to those since the last update. A model that shares its base waits for others. */
  accumulate(batch: Batch, position: DropoutPosition): Sums | Promise<Sums>;
  /**
   * A training pass that takes the step too: parameters are updated as their gradients arise. Absent where a step is always taken with all gradients, by
   * `accumulate` and `update`.
   */
  readonly takeWhole?: ((batch: Batch, position: DropoutPosition, learningRate: number) => WholeStep) | null;
  /**
   * Takes one step of AdamW with the clipped mean of the gradients.
   * @returns their norm before clipping; NaN or infinite if any gradient is, and then the step is not taken and the gradients are forgotten
   */
  update(update: Update): number;
  /** Forgets the gradients since the last update; nothing else changes. */
  discard(): void;
  /** Moments of the optimizer, by parameter. */
  moments(): Map<string, MomentValues>;
  /** As `moments`, but each is read when it is asked for, as by `readLazily`. */
  momentsLazily?(): Map<string, MomentValues>;
  /** Resumes where an earlier run stopped. */
  restore(steps: number, parameters: ReadonlyMap<string, Float32Array>, moments: ReadonlyMap<string, MomentValues>): void;
}
