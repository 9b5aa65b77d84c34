import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { Quantization } from '../../../src/formats/quantization.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import type { Tensor } from '../tensorflow/tensorflow.ts';
import type { Trained } from './trained.ts';
import type { TunedModel } from './tuned-model.ts';

/** The base model that was tuned. */
export interface TunedBase {
  modelDir: string;
  /** PEFT's `base_model_name_or_path`. */
  name: string;
  /** Its commit on the hub; null for a directory. */
  revision: string | null;
  /** Name of the GGUF file that its directory was made of; null for other models. */
  ggufFile: string | null;
  /** How its frozen weights were held; default: not quantised. */
  quantization?: Quantization | undefined;
}

export interface JoinOptions<T extends ResolvedTuning> {
  config: ModelConfig;
  tuning: T;
  seed: number;
  /** Of `initialText`, for a run that begins. */
  initialTokens?: Int32Array | undefined;
}

/** Everything that the engine knows about a tuning method. Each method is one object in its own file; `methods.ts` lists them. */
export interface Method<T extends ResolvedTuning> {
  /** PEFT's name for it in adapter_config.json; null if it delivers a whole model instead of an adapter. */
  readonly peftType: string | null;
  /** Whether a weight of the base is itself trained rather than frozen. @param name as in the checkpoint */
  trainsWeight(name: string, options: { config: ModelConfig; tuning: T }): boolean;
  /** A text whose tokens `join` needs for the first values; absent for methods that do not begin from a text. */
  initialText?(tuning: T): string | null;
  /** What the learning rate of a trained tensor is multiplied by; default 1. */
  rateFactor?(name: string, options: { shape: readonly number[]; tuning: T }): number;
  /**
   * Creates what is trained and joins it to the base.
   * @param weights of the base, by name; variables if they are themselves trained. Only `Trained.parameters` computes with them
   * @returns all trained variables, including those that the method adds, with their initial values
   * @throws Refusal for a tuning that does not fit the base
   */
  join(weights: ReadonlyMap<string, Tensor>, options: JoinOptions<T>): Trained;
  /** Writes what a job delivers. @returns the file names */
  save(model: Pick<TunedModel, 'config' | 'read' | 'constants'>, dir: string, options: { tuning: T; base: TunedBase }): string[];
  /** @returns paths of the delivered safetensors files. @throws Refusal if they are missing */
  tensorFiles(deliveredDir: string): string[];
  /**
   * Checks whether the delivered files have the layout that their readers need, for this base and tuning. Loading them checks the values.
   * @returns what is wrong
   * @throws Refusal for a file that cannot be read
   */
  layoutProblems(deliveredDir: string, options: { tuning: T; modelDir: string }): string[];
  /** How to read a delivered adapter; null if a whole model is delivered, which is opened like any base. */
  readonly adapter: AdapterFiles<T> | null;
}

export interface AdapterFiles<T extends ResolvedTuning> {
  /** @throws Refusal `unsupported_adapter`, `corrupt_model_file` */
  readTuning(dir: string): T;
  /** Whether the model with all trained values at zero is its base, as with a product that is added to it. */
  isBaseAtZero(tuning: T): boolean;
  /** Whether it is only A and B beside layers, which a pass that generates applies to each row by itself. */
  isPerRow(tuning: T, config: ModelConfig): boolean;
  /** Sets the trained parameters, and constants that are delivered with them, to the values in a directory. @throws Refusal `corrupt_model_file` */
  load(model: Pick<TunedModel, 'config' | 'trainable' | 'constants' | 'assign'>, dir: string): void;
  /**
   * Opens an adapter to merge it into the weights of its base. Absent for LoRA, whose matrices exports read themselves.
   * @throws Refusal `unsupported_export` for an adapter that no weights can hold, `corrupt_model_file` for one that does not fit
   */
  openMerge?(dir: string, base: { modelDir: string; config: ModelConfig }): Merge;
}

/** An adapter that is merged into its base, one weight at a time. */
export interface Merge {
  /** @param values of the base's weight, as in the checkpoint; they may be changed. @returns those of the tuned model */
  merged(name: string, values: Float32Array): Float32Array;
  /** The change of a weight as a product, where the method has it as one. */
  product?(name: string): LowRankProduct | null;
  close(): void;
}

/** scaling · B·A */
export interface LowRankProduct {
  /** [r, in] */
  A: Float32Array;
  /** [out, r] */
  B: Float32Array;
  r: number;
  scaling: number;
  /** Whether the weight is stored as [in, out]. */
  inputFirst: boolean;
}
