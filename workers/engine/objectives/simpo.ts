/** Simple preference optimisation (Meng et al. 2024), as TRL's CPOTrainer computes it: mean log-probabilities, and a margin between them. */
import type { ResolvedSimpo } from '../../../src/formats/objectives/simpo.ts';
import { type Scalar, type Tensor1D, tf } from '../tensorflow/tensorflow.ts';
import { answerFeeds, answers, feedAnswers, perToken, totalsOfPairs } from './answers.ts';
import { smoothedLosses } from './log-sigmoid.ts';
import type { Objective } from './objective.ts';
import { preferenceMetrics, preferenceSums, scaled } from './preference.ts';

export function simpo({ beta, simpo_gamma: gamma, cpo_alpha: alpha, label_smoothing: smoothing }: ResolvedSimpo): Objective {
  return {
    name: 'simpo',
    together: true,
    totals: (examples) => totalsOfPairs(examples, 'answer'),
    feeds: answerFeeds,
    feed: (batch, context) => feedAnswers(batch, { ...context, imitates: 'answer' }),

    compute(forward, fed, options) {
      const policy = perToken(answers(forward, fed, options), fed['lengths']!);
      const logits: Tensor1D = tf.sub(tf.mul(tf.sub(policy.chosen, policy.rejected), beta), gamma);
      const preference = tf.sum(smoothedLosses(logits, smoothing)) as Scalar;
      const loss: Scalar = alpha === 0 ? preference : tf.add(preference, tf.mul(policy.imitation, alpha));
      return { loss, others: preferenceSums({ policy, rewards: scaled(policy, beta), preference }, options) };
    },

    metrics(sums) {
      const nll = alpha === 0 ? {} : { nll_loss: sums['nll']! / sums['imitated']! };
      return { loss: sums['preference']! / sums.weight + alpha * (nll.nll_loss ?? 0), ...nll, ...preferenceMetrics(sums) };
    },
  };
}
