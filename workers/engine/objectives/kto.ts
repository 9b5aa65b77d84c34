/** Kahneman–Tversky optimisation (Ethayarajh et al. 2024, eq. 7), and APO-zero for single answers, as TRL's KTOTrainer computes them. */

import { labelWarnings, type ResolvedKto } from '../../../src/formats/objectives/kto.ts';
import { headParts } from '../../../src/formats/pass-size.ts';
import type { ExampleStore } from '../data/example-store.ts';
import { type Scalar, type Tensor, type Tensor1D, tf } from '../tensorflow/tensorflow.ts';
import { partSizes } from './cross-entropy.ts';
import type { Forward, Objective } from './objective.ts';
import { owned } from './preference.ts';
import { supervisedPositions } from './supervised-positions.ts';
import { fedLogProbabilities, ofSequences, sumsOfSequences, tokenFeeds } from './token-log-probabilities.ts';

/**
 * An answer's reward is β·r, with r = log π(y|x) − log π_ref(y|x). Its loss is 1 − σ(±β(r − KL)), where − is for a bad answer. KL is the mean r of the step's
 * prompts with each other's answers, at least 0, and counts as a constant; APO-zero takes 0 for it.
 */
export function kto(settings: ResolvedKto): Objective {
  const { beta, loss_type: type, desirable_weight: goodWeight, undesirable_weight: badWeight } = settings;
  const estimates = type === 'kto';
  return {
    name: 'kto',
    together: true,
    warnings: (examples) => labelWarnings(countLabels(examples), settings),
    referencesPerExample: estimates ? 2 : 1,
    ...(estimates && {
      prior: {
        of: ({ mismatched }) => mismatched!,
        totals: ({ log_ratios: sum, weight }) => ({ kl: weight === 0 ? 0 : Math.max(0, sum! / weight) }),
      },
    }),

    feeds: (context) => ({
      ...tokenFeeds(context),
      /** 1 for a good answer, 0 for a bad one. */
      good: { dtype: 'float32', shape: ['answers'] },
      reference: { dtype: 'float32', shape: ['answers'] },
      kl: { dtype: 'float32', shape: [] },
    }),

    feed(batch, { config, trainsHead }) {
      const { sequences: sequenceAt, totals, reference } = batch;
      if (sequenceAt === undefined) throw new Error('a pass of answers says which token belongs to which answer');
      const { positions, targets, weights } = supervisedPositions(batch);
      if (targets.length === 0) return null;
      const sequences = positions.map((position) => sequenceAt[position + 1]!);
      const answers = sequenceAt.reduce((most, sequence) => Math.max(most, sequence), 0) + 1;
      const good = new Float32Array(answers);
      for (const [index, sequence] of sequences.entries()) good[sequence] = weights[index]! > 0 ? 1 : 0;
      const goodAnswers = good.reduce((sum, each) => sum + each, 0);
      const kl = totals?.['kl'] ?? 0;
      return {
        values: {
          positions,
          targets,
          part_sizes: partSizes(targets.length, { vocabSize: config.vocabSize, parts: headParts(trainsHead) }),
          sequences,
          good,
          reference: reference ?? new Float32Array(answers),
          kl: Float32Array.of(kl),
        },
        sizes: { targets: targets.length, answers },
        known: {
          weight: answers,
          good: goodAnswers,
          bad: answers - goodAnswers,
          good_tokens: weights.reduce((count, weight) => count + (weight > 0 ? 1 : 0), 0),
          kl: answers * kl,
        },
      };
    },

    reference: (forward, fed) => answersIn(forward, fed, { withGradient: false }).logps,

    compute(forward, fed, options) {
      const { logps, correct } = answersIn(forward, fed, options);
      const { good, sequences } = fed as { good: Tensor1D; sequences: Tensor1D };
      const ratios: Tensor1D = tf.sub(logps, fed['reference']!);
      const bad: Tensor1D = tf.sub(1, good);
      const weights: Tensor1D = tf.add(tf.mul(good, goodWeight), tf.mul(bad, badWeight));
      const ahead: Tensor1D = tf.mul(tf.mul(tf.sub(ratios, fed['kl']!), tf.sub(good, bad)), beta);
      const loss = tf.sum(tf.mul(tf.sigmoid(tf.neg(ahead)), weights)) as Scalar;
      const others = owned(
        () => ({
          log_ratios: tf.sum(ratios),
          good_rewards: tf.mul(tf.sum(tf.mul(ratios, good)), beta),
          bad_rewards: tf.mul(tf.sum(tf.mul(ratios, bad)), beta),
          good_logps: tf.sum(tf.mul(logps, good)),
          bad_logps: tf.sum(tf.mul(logps, bad)),
          correct: tf.sum(tf.mul(correct, ofSequences(good, sequences))),
        }),
        options,
      );
      return { loss, others };
    },

    /** A step may have answers of one kind alone, and then nothing is reported of the other. */
    metrics(sums) {
      const { loss, weight, good, bad } = sums as Record<string, number>;
      const ofGood = good !== 0 && {
        mean_token_accuracy: sums['correct']! / sums['good_tokens']!,
        'rewards/chosen': sums['good_rewards']! / good!,
        'logps/chosen': sums['good_logps']! / good!,
      };
      const ofBad = bad !== 0 && { 'rewards/rejected': sums['bad_rewards']! / bad!, 'logps/rejected': sums['bad_logps']! / bad! };
      return {
        loss: loss! / weight!,
        kl: sums['kl']! / weight!,
        ...ofGood,
        ...ofBad,
        ...(ofGood && ofBad && { 'rewards/margins': ofGood['rewards/chosen'] - ofBad['rewards/rejected'] }),
      };
    },
  };
}

function countLabels(examples: ExampleStore): { good: number; bad: number } {
  let good = 0;
  for (let index = 0; index < examples.length; index++) if (examples.read(index).lossWeights.some((weight) => weight > 0)) good += 1;
  return { good, bad: examples.length - good };
}

/** @returns the log-probability of each answer, [answers], and whether each of their tokens has the largest logit, [targets] */
function answersIn(
  forward: Forward,
  fed: Readonly<Record<string, Tensor>>,
  options: { withGradient: boolean },
): { logps: Tensor1D; correct: Tensor1D } {
  const { sequences, good } = fed as Record<string, Tensor1D>;
  const { logProbabilities, correct } = fedLogProbabilities(forward, fed, options);
  return { logps: sumsOfSequences(logProbabilities, sequences!, good!.shape[0]), correct };
}
