import type { ModelConfig } from '../../../src/formats/model-config.ts';
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
}

/** A tuning method, all that the engine knows of it. One object a method, in a file of its own; `methods.ts` lists them. */
export interface Method<T extends ResolvedTuning> {
  /** PEFT's name of it in adapter_config.json; null when it delivers no adapter but a whole model. */
  readonly peftType: string | null;
  /** Whether a weight of the base is trained itself; all others are frozen. @param name as in the checkpoint */
  trainsWeight(name: string): boolean;
  /**
   * What is trained, and how it joins the base.
   * @param weights of the base by name: variables where they are trained themselves. Only `Trained.parameters` computes with them
   * @returns also the variables that it adds, with their first values
   * @throws Refusal for choices that the base cannot meet
   */
  join(weights: ReadonlyMap<string, Tensor>, options: { config: ModelConfig; tuning: T; seed: number }): Trained;
  /** Writes what a job delivers. @returns the file names */
  save(model: Pick<TunedModel, 'config' | 'read'>, dir: string, options: { tuning: T; base: TunedBase }): string[];
  /** @returns paths of the safetensors files that it delivers. @throws Refusal when they are not there */
  tensorFiles(deliveredDir: string): string[];
  /**
   * Is what was delivered laid out as its readers need it, on this base and with these choices? Whether the values are right shows when it is loaded.
   * @returns what is wrong
   * @throws Refusal for a file that cannot be read
   */
  layoutProblems(deliveredDir: string, options: { tuning: T; modelDir: string }): string[];
  /** An adapter's files; null when a whole model is delivered, which is opened like any base. */
  readonly adapter: AdapterFiles<T> | null;
}

export interface AdapterFiles<T extends ResolvedTuning> {
  /** @throws Refusal `unsupported_adapter`, `corrupt_model_file` */
  readTuning(dir: string): T;
  /** Sets what is trained to the values in a directory. @throws Refusal `corrupt_model_file` */
  load(model: Pick<TunedModel, 'trainable' | 'assign'>, dir: string): void;
}
