/** Odds ratio preference optimisation (Hong et al. 2024), as TRL's ORPOTrainer computes it: imitation of the preferred text, and an odds ratio. */
import type { ResolvedOrpo } from '../../../src/formats/objectives/orpo.ts';
import { type Scalar, type Tensor1D, tf } from '../tensorflow/tensorflow.ts';
import { answerFeeds, answers, feedAnswers, perToken, totalsOfPairs } from './answers.ts';
import { logSigmoid } from './log-sigmoid.ts';
import type { Objective } from './objective.ts';
import { preferenceMetrics, preferenceSums, scaled } from './preference.ts';

export function orpo({ beta }: ResolvedOrpo): Objective {
  return {
    name: 'orpo',
    together: true,
    // The prompt before the preferred answer is imitated too.
    totals: (examples) => totalsOfPairs(examples, 'all'),
    feeds: answerFeeds,
    feed: (batch, context) => feedAnswers(batch, { ...context, imitates: 'all' }),

    compute(forward, fed, options) {
      const policy = perToken(answers(forward, fed, options), fed['lengths']!);
      const odds: Tensor1D = tf.sub(tf.sub(policy.chosen, policy.rejected), tf.sub(logOfRest(policy.chosen), logOfRest(policy.rejected)));
      const preference = tf.neg(tf.mul(tf.sum(logSigmoid(odds)), beta)) as Scalar;
      const loss: Scalar = tf.add(policy.imitation, preference);
      return { loss, others: preferenceSums({ policy, rewards: scaled(policy, beta), preference }, options) };
    },

    metrics(sums) {
      const nll = sums['nll']! / sums['imitated']!;
      return { loss: nll + sums['preference']! / sums.weight, nll_loss: nll, ...preferenceMetrics(sums) };
    },
  };
}

/** log(1 − eˣ) for x < 0, where 1 − eˣ = tanh(−x/2)·(1 + eˣ) keeps its digits near 0. */
const logOfRest = (x: Tensor1D): Tensor1D => tf.add(tf.log(tf.tanh(tf.mul(x, -0.5))), tf.log(tf.add(tf.exp(x), 1)));
