import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ObjectiveName } from '../../../src/formats/objective.ts';
import type { Batch } from '../data/batch.ts';
import type { Decoder, TokenGrid } from '../model/decoder.ts';
import type { Parameters } from '../model/parameters.ts';
import { type Scalar, type Tensor, tf } from '../tensorflow/tensorflow.ts';

/**
 * Numbers summed over a batch, by name; those of several batches add up. Every objective has `loss`, which is minimised, and `weight`, by whose total the
 * loss and its gradients are divided.
 */
export type Sums = { readonly loss: number; readonly weight: number } & Readonly<Record<string, number>>;

/** Of a batch from which nothing is learned. */
export const NO_SUMS: Sums = { loss: 0, weight: 0 };

export function added(one: Sums, other: Sums): Sums {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, (one[name] ?? 0) + (other[name] ?? 0)])) as Sums;
}

/** What sums mean: each a mean over what it was summed over. */
export type Metrics = { readonly loss: number } & Readonly<Record<string, number>>;

export interface FeedType {
  dtype: 'float32' | 'int32';
  /** A name stands for a size that differs from batch to batch. */
  shape: readonly (number | string)[];
}

/** The model that is trained, as far as it decides what is fed. */
export interface ObjectiveContext {
  config: ModelConfig;
  /** Whether the language-model head is trained. */
  trainsHead: boolean;
}

/** A batch as it is fed. */
export interface FedBatch {
  /** By the names of `feeds`, row-major. */
  values: Readonly<Record<string, Int32Array | Float32Array>>;
  /** The sizes that differ, by the names in the feeds' shapes. */
  sizes: Readonly<Record<string, number>>;
  /** The sums that are known before anything is computed, `weight` among them. */
  known: { readonly weight: number } & Readonly<Record<string, number>>;
}

/** One pass of the model. */
export interface Forward {
  config: ModelConfig;
  decoder: Decoder;
  grid: TokenGrid;
  parameters: Parameters;
}

// A type alias: tf.tidy takes no interface.
export type ComputedSums = {
  /** `Sums.loss`, which can be differentiated. */
  loss: Scalar;
  /** The other sums that are computed, by name. With a gradient they outlive a tidy: the caller owns them. */
  others: Record<string, Scalar>;
};

/** What training minimises: what a batch is fed as, what is computed, which numbers come out. `objectives.ts` lists them. */
export interface Objective {
  readonly name: ObjectiveName;
  /** What it is fed besides the tokens themselves. */
  feeds(context: ObjectiveContext): Readonly<Record<string, FeedType>>;
  /** @returns null when nothing in the batch is to be learned */
  feed(batch: Batch, context: ObjectiveContext): FedBatch | null;
  /** @param fed tensors by the names of `feeds`. @param options.withGradient whether the loss will be differentiated */
  compute(forward: Forward, fed: Readonly<Record<string, Tensor>>, options: { withGradient: boolean }): ComputedSums;
  /** @returns by name, without the prefix that says what was measured (`train_`, `valid_`, `full_valid_`) */
  metrics(sums: Sums): Metrics;
}

/** @returns what a batch is fed as, by the names of `feeds`; the caller's */
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
