/** log softmax(h·Wᵀ)[target] of each token for itself, for objectives that compare whole answers. The logits exist a part at a time. */
import { headParts } from '../../../src/formats/pass-size.ts';
import { differentiable, isTrained } from '../tensorflow/differentiable.ts';
import { gatherRows } from '../tensorflow/native.ts';
import { within } from '../tensorflow/scope.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import {
  inOrder,
  joinedGradients,
  type Part,
  type PartTokens,
  type Predictions,
  partialGradients,
  type StateGradients,
  split,
  tokensOf,
} from './cross-entropy.ts';
import type { FeedType, Forward, ObjectiveContext } from './objective.ts';

// A type alias: tf.tidy takes no interface.
export type TokenLogProbabilities = {
  /** [tokens], nats */
  logProbabilities: Tensor1D;
  /** [tokens] 1 where the target has the largest logit, else 0; with a gradient the caller owns it */
  correct: Tensor1D;
};

/** What objectives that compare whole answers are fed of their tokens. */
export const tokenFeeds = (context: ObjectiveContext): Record<string, FeedType> => ({
  positions: { dtype: 'int32', shape: ['targets'] },
  targets: { dtype: 'int32', shape: ['targets'] },
  part_sizes: { dtype: 'int32', shape: [headParts(context.trainsHead)] },
  /** The answer that each token belongs to. */
  sequences: { dtype: 'int32', shape: ['targets'] },
});

/** @param fed the tensors of `tokenFeeds` */
export function fedLogProbabilities(
  { config, decoder, grid, parameters }: Forward,
  fed: Readonly<Record<string, Tensor>>,
  options: Pick<Options, 'withGradient'>,
): TokenLogProbabilities {
  const { positions, targets, part_sizes: sizes } = fed as Record<string, Tensor1D>;
  const states = decoder.statesAt(grid, positions!, parameters);
  const predictions = { states, head: decoder.head(parameters), targets: targets!, partSizes: sizes! };
  return tokenLogProbabilities(predictions, { ...options, softCap: config.logitSoftCap });
}

interface Options {
  /** Whether the log-probabilities will be differentiated. */
  withGradient: boolean;
  /** The model's cap on its logits. */
  softCap: number | null;
}

/**
 * With a frozen head the forward pass also computes each token's gradient, W[target] − P·W, so that the backward pass only scales the rows. The gradient of
 * a trained head needs the tokens' factors first, so its backward pass computes the logits again.
 */
export function tokenLogProbabilities(predictions: Omit<Predictions, 'weights'>, options: Options): TokenLogProbabilities {
  return within('head', () => compute({ ...predictions, weights: tf.ones(predictions.targets.shape) }, options));
}

function compute(predictions: Predictions, { withGradient, softCap }: Options): TokenLogProbabilities {
  const { states, head, targets, partSizes } = predictions;
  const joined = (parts: Tensor1D[]): Tensor1D => tf.reshape(tf.concat(parts), targets.shape);
  const measured = ({ losses, best }: PartTokens) => ({ losses, correct: tf.cast(best, 'float32') as Tensor1D });
  if (!withGradient) {
    return tf.tidy(() => {
      const parts = inOrder(
        split(predictions),
        (part) => measured(tokensOf(part, head, softCap)),
        ({ losses }) => losses,
      );
      return { logProbabilities: tf.neg(joined(parts.map(({ losses }) => losses))), correct: joined(parts.map(({ correct }) => correct)) };
    });
  }
  const trained = isTrained(head);
  let correct: Tensor1D | undefined;
  const logProbabilities = differentiable<Tensor1D>(trained ? [states, head] : [states], () => {
    const parts = inOrder(
      split(predictions),
      (part) => {
        const tokens = tokensOf(part, head, softCap);
        return { ...measured(tokens), dStates: trained ? [] : [partialGradients(part, tokens, { head, trained: false }).dStates] };
      },
      ({ losses, dStates }) => dStates[0] ?? losses,
    );
    correct = tf.keep(joined(parts.map((part) => part.correct)));
    const value: Tensor1D = tf.neg(joined(parts.map(({ losses }) => losses)));
    if (trained)
      return {
        value,
        saved: [states, head as unknown as Tensor2D, targets, partSizes],
        gradient: (dy, saved) => headGradients(dy, saved as SavedOfHead, softCap),
      };
    const dStates: Tensor2D = tf.reshape(tf.concat(parts.flatMap((part) => part.dStates)), states.shape);
    return { value, saved: [dStates], gradient: (dy, [dStates]) => [tf.mul(dStates!, tf.reshape(tf.neg(dy), [-1, 1]))] };
  });
  return { logProbabilities, correct: correct! };
}

type SavedOfHead = [Tensor2D, Tensor2D, Tensor1D, Tensor1D];

function headGradients(dy: Tensor1D, [states, head, targets, partSizes]: SavedOfHead, softCap: number | null): Tensor[] {
  const predictions = { states, head, targets, weights: tf.neg(dy) as Tensor1D, partSizes };
  const gradients = (part: Part, before?: StateGradients): StateGradients =>
    partialGradients(part, tokensOf(part, head, softCap), { head, trained: true, before });
  const parts = inOrder(split(predictions), gradients, ({ dHead }) => dHead[0]!);
  return joinedGradients(parts, predictions, true);
}

/**
 * Sums of the values that belong to each sequence.
 * @param values    [tokens]
 * @param sequences [tokens] int32, from 0
 */
export function sumsOfSequences(values: Tensor1D, sequences: Tensor1D, count: number): Tensor1D {
  return differentiable<Tensor1D>([values], () => ({
    value: tf.unsortedSegmentSum(values, sequences, count),
    saved: [sequences],
    gradient: (dy, [sequences]) => [ofSequences(dy, sequences as Tensor1D)],
  }));
}

/** @returns [tokens], each token's value of its sequence */
export const ofSequences = (values: Tensor1D, sequences: Tensor1D): Tensor1D => tf.reshape(gatherRows(tf.reshape(values, [-1, 1]), sequences), [-1]);
