import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ObjectiveName } from '../../../src/formats/objectives/objectives.ts';
import type { Batch, Example } from '../data/batch.ts';
import type { ExampleStore } from '../data/example-store.ts';
import type { Decoder, TokenGrid } from '../model/decoder.ts';
import type { Parameters } from '../model/parameters.ts';
import { type Scalar, type Tensor, type Tensor1D, tf } from '../tensorflow/tensorflow.ts';

/**
 * Numbers summed over a batch, by name; sums of several batches can be added. Every objective has `loss`, which is minimised, and `weight`: the loss
 * and its gradients are divided by the total weight.
 */
export type Sums = { readonly loss: number; readonly weight: number } & Readonly<Record<string, number>>;

/** Sums of a batch from which nothing is learned. */
export const NO_SUMS: Sums = { loss: 0, weight: 0 };

export function addSums(one: Sums, other: Sums): Sums {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, (one[name] ?? 0) + (other[name] ?? 0)])) as Sums;
}

/** Means computed from sums, by name. */
export type Metrics = { readonly loss: number } & Readonly<Record<string, number>>;

export interface FeedType {
  dtype: 'float32' | 'int32';
  /** A string names a size that varies from batch to batch. */
  shape: readonly (number | string)[];
}

/** The properties of the trained model that the feeds depend on. */
export interface ObjectiveContext {
  config: ModelConfig;
  /** Whether the language-model head is trained. */
  trainsHead: boolean;
}

/** The feeds of one batch. */
export interface FedBatch {
  /** Values by the names in `feeds`, row-major. */
  values: Readonly<Record<string, Int32Array | Float32Array>>;
  /** Sizes that vary, by their names in the shapes of the feeds. */
  sizes: Readonly<Record<string, number>>;
  /** Sums that are known before anything is computed, including `weight`. */
  known: { readonly weight: number } & Readonly<Record<string, number>>;
}

/** The model and the tokens of one pass. */
export interface Forward {
  config: ModelConfig;
  decoder: Decoder;
  grid: TokenGrid;
  parameters: Parameters;
}

// A type alias: tf.tidy takes no interface.
export type ComputedSums = {
  /** `Sums.loss`, differentiable. */
  loss: Scalar;
  /** The other computed sums, by name. With a gradient they outlive a tidy: the caller owns them, and the tokens. */
  others: Record<string, Scalar>;
  /** What each learned token adds to the sums, by their names, in the order of the feeds; only if `perToken`. */
  tokens?: Record<string, Tensor1D>;
};

export interface ComputeOptions {
  /** Whether the loss will be differentiated. */
  withGradient: boolean;
  /** Whether what each token adds to the sums is wanted; an objective without `sumsOf` does not know it. */
  perToken?: boolean;
}

/** What training minimises: the feeds of a batch, the computation and its metrics. `objectives.ts` lists the objectives. */
export interface Objective {
  readonly name: ObjectiveName;
  /** Whether all sequences of an example have to be in one pass, with `Batch.sequences`; absent: no. */
  readonly together?: boolean;
  /** @returns what the user should know of the training examples, in whole sentences */
  warnings?(examples: ExampleStore): string[];
  /** @returns `Batch.totals` of a step; absent: none are needed */
  totals?(examples: readonly Example[]): Readonly<Record<string, number>>;
  /**
   * Computes `Batch.reference`, with which the model is compared, from the same feeds: [examples, sequences of each]. Absent: it is compared with nothing.
   */
  reference?(forward: Forward, fed: Readonly<Record<string, Tensor>>): Tensor;
  /** How many numbers `reference` has for an example and what `prior` makes of it. */
  readonly referencesPerExample?: number;
  /**
   * Totals of a step that have to be computed, on other examples, before its passes and without gradients. As those depend on which examples are in a step
   * together, every epoch then has the same steps. Absent: there are none.
   */
  readonly prior?: {
    /** @returns what is computed for an example of the step */
    of(example: Example): Example;
    /** @returns further `Batch.totals` of the step */
    totals(sums: Sums): Readonly<Record<string, number>>;
  };
  /** Types of its feeds besides the tokens themselves. */
  feeds(context: ObjectiveContext): Readonly<Record<string, FeedType>>;
  /** @returns null if the batch contains nothing to learn */
  feed(batch: Batch, context: ObjectiveContext): FedBatch | null;
  /** @param fed tensors by the names in `feeds` */
  compute(forward: Forward, fed: Readonly<Record<string, Tensor>>, options: ComputeOptions): ComputedSums;
  /**
   * Sums of some of a batch's tokens. Absent: the sums of a batch cannot be told apart.
   * @param tokens what each learned token adds, by name, as `compute` gives it. @param isOne whether the token at a position of the grid is one of them
   */
  sumsOf?(fed: FedBatch, tokens: Readonly<Record<string, ArrayLike<number>>>, isOne: (position: number) => boolean): Sums;
  /** @returns metrics by name, without the prefix for what was measured (`train_`, `valid_`, `full_valid_`) */
  metrics(sums: Sums): Metrics;
}

/** @returns the feeds of a batch as tensors, by name; owned by the caller */
export function fedTensors(
  objective: Objective,
  { values, sizes }: Pick<FedBatch, 'values' | 'sizes'>,
  context: ObjectiveContext,
): Record<string, Tensor> {
  const feeds = Object.entries(objective.feeds(context));
  return Object.fromEntries(
    feeds.map(([name, { dtype, shape }]) => {
      const actual = shape.map((size) => (typeof size === 'string' ? sizes[size]! : size));
      return [name, tf.tensor(values[name]!, actual, dtype)];
    }),
  );
}
