/** The answers of a batch of pairs: which tokens they have, and how probable a model finds each answer. */
import { headParts } from '../../../src/formats/pass-size.ts';
import { type Batch, type Example, supervisedTokens } from '../data/batch.ts';
import { sequencesIn } from '../data/sequences.ts';
import { type Scalar, type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { partSizes } from './cross-entropy.ts';
import type { FedBatch, FeedType, Forward, ObjectiveContext } from './objective.ts';
import { fedLogProbabilities, sumsOfSequences, tokenFeeds } from './token-log-probabilities.ts';

/** Answers of a pair: the preferred one, then the other. */
const ANSWERS = 2;

export const answerFeeds = (context: ObjectiveContext): Record<string, FeedType> => ({
  ...tokenFeeds(context),
  /** 1 for a token of an answer, 0 for one of a prompt. */
  answered: { dtype: 'float32', shape: ['targets'] },
  /** 1 for a token that is learned by cross-entropy too. */
  imitated: { dtype: 'float32', shape: ['targets'] },
  /** Tokens of each answer. */
  lengths: { dtype: 'float32', shape: ['pairs', ANSWERS] },
  /** Pairs for each imitated token of the step: losses are divided by the pairs, and this cross-entropy is a mean over its tokens. */
  imitated_share: { dtype: 'float32', shape: [] },
});

interface FeedOptions extends ObjectiveContext {
  /** What of the preferred sequence is learned by cross-entropy too: the answer, or the prompt before it as well. */
  imitates: 'answer' | 'all';
}

/** @returns what means over a step need: its pairs, and its tokens that are learned by cross-entropy too */
export function totalsOfPairs(examples: readonly Example[], imitates: FeedOptions['imitates']): Record<string, number> {
  const preferred = examples.map((example) => sequencesIn(example)[0]!);
  const tokens = preferred.map((sequence) => (imitates === 'all' ? sequence.inputIds.length - 1 : supervisedTokens(sequence)));
  return { pairs: examples.length, imitated: tokens.reduce((total, count) => total + count, 0) };
}

/** @returns null if the batch has no pair */
export function feedAnswers(batch: Batch, { imitates, ...context }: FeedOptions): FedBatch | null {
  const { rows, length, inputIds, lossWeights, sequences: sequenceAt } = batch;
  if (sequenceAt === undefined) throw new Error('a pass of pairs says which token belongs to which answer');
  const positions: number[] = [];
  for (let at = 1; at < rows * length; at++) {
    const sequence = sequenceAt[at]!;
    if (sequence === -1 || sequence !== sequenceAt[at - 1] || at % length === 0) continue; // nothing predicts a sequence's first token
    if (lossWeights[at] !== 0 || (imitates === 'all' && isPreferred(sequence))) positions.push(at - 1);
  }
  if (positions.length === 0) return null;
  const predicted = Int32Array.from(positions, (position) => position + 1);
  const sequences = predicted.map((at) => sequenceAt[at]!);
  const answered = Float32Array.from(predicted, (at) => (lossWeights[at] === 0 ? 0 : 1));
  const imitated = Float32Array.from(sequences, (sequence) => (isPreferred(sequence) ? 1 : 0));
  const pairs = (sequenceAt.reduce((most, sequence) => Math.max(most, sequence), 0) + 1) / ANSWERS;
  const lengths = new Float32Array(ANSWERS * pairs);
  for (const [index, sequence] of sequences.entries()) lengths[sequence]! += answered[index]!;
  const { pairs: pairsOfStep = pairs, imitated: imitatedOfStep = sum(imitated) } = batch.totals ?? {};
  return {
    values: {
      positions: Int32Array.from(positions),
      targets: predicted.map((at) => inputIds[at]!),
      part_sizes: partSizes(positions.length, { vocabSize: context.config.vocabSize, parts: headParts(context.trainsHead) }),
      sequences,
      answered,
      imitated,
      lengths,
      imitated_share: Float32Array.of(pairsOfStep! / imitatedOfStep!),
    },
    sizes: { targets: positions.length, pairs },
    known: {
      weight: pairs,
      imitated: sum(imitated),
      chosen_tokens: sum(lengths.filter((_, sequence) => isPreferred(sequence))),
    },
  };
}

const isPreferred = (sequence: number): boolean => sequence % ANSWERS === 0;
const sum = (values: Float32Array): number => values.reduce((total, value) => total + value, 0);

export interface Answers {
  /** [pairs, 2] Σ log-probability of each answer's tokens. */
  both: Tensor2D;
  /** [pairs] Σ log-probability of the preferred answer's tokens. */
  chosen: Tensor1D;
  /** [pairs] The same of the other one. */
  rejected: Tensor1D;
  /** Summed cross-entropy of the imitated tokens. */
  nll: Tensor;
  /** The same, so that divided by the step's pairs it is a mean over its imitated tokens. */
  imitation: Scalar;
  /** How many tokens of the preferred answers have the largest logit. */
  correct: Tensor;
}

export function answers(forward: Forward, fed: Readonly<Record<string, Tensor>>, options: { withGradient: boolean }): Answers {
  const { sequences, answered, imitated, lengths, imitated_share: share } = fed as Record<string, Tensor1D>;
  const { logProbabilities, correct } = fedLogProbabilities(forward, fed, options);
  const sums = sumsOfSequences(tf.mul(logProbabilities, answered!), sequences!, ANSWERS * lengths!.shape[0]);
  const both: Tensor2D = tf.reshape(sums, [-1, ANSWERS]);
  const [chosen, rejected] = columns(both);
  const nll = tf.neg(tf.sum(tf.mul(logProbabilities, imitated!))) as Scalar;
  return {
    both,
    chosen,
    rejected,
    nll,
    imitation: tf.mul(nll, share!),
    correct: tf.sum(tf.mul(correct, tf.mul(answered!, imitated!))),
  };
}

/** @returns the answers with means over their tokens instead of sums */
export function perToken<T extends Pick<Answers, 'chosen' | 'rejected'>>(sums: T, lengths: Tensor): T {
  const [chosen, rejected] = columns(lengths);
  return { ...sums, chosen: tf.div(sums.chosen, chosen), rejected: tf.div(sums.rejected, rejected) };
}

/** @returns the two columns of [pairs, 2] */
export function columns(pairs: Tensor): [Tensor1D, Tensor1D] {
  const [first, second] = tf.split(pairs as Tensor2D, ANSWERS, 1);
  return [tf.reshape(first!, [-1]), tf.reshape(second!, [-1])];
}
