/** Direct preference optimisation (Rafailov et al. 2023), and the losses that followed from it, as TRL's DPOTrainer computes them. */
import type { ResolvedDpo } from '../../../src/formats/objectives/dpo.ts';
import { type Scalar, type Tensor, type Tensor1D, tf } from '../tensorflow/tensorflow.ts';
import { answerFeeds, answers, columns, feedAnswers, perToken, totalsOfPairs } from './answers.ts';
import { positivePart, smoothedLosses } from './log-sigmoid.ts';
import type { ComputedSums, Objective } from './objective.ts';
import { preferenceMetrics, preferenceSums, scaled } from './preference.ts';

export function dpo(settings: ResolvedDpo): Objective {
  const { beta, rpo_alpha: alpha } = settings;
  return {
    name: 'dpo',
    together: true,
    referencesPerExample: 2,
    totals: (examples) => totalsOfPairs(examples, 'answer'),

    feeds: (context) => ({ ...answerFeeds(context), reference: { dtype: 'float32', shape: ['pairs', 2] } }),

    feed(batch, context) {
      const fed = feedAnswers(batch, { ...context, imitates: 'answer' });
      if (fed === null) return null;
      return { ...fed, values: { ...fed.values, reference: batch.reference ?? new Float32Array(2 * fed.known.weight) } };
    },

    reference: (forward, fed) => answers(forward, fed, { withGradient: false }).both,

    compute(forward, fed, options): ComputedSums {
      const policy = answers(forward, fed, options);
      const [chosenBefore, rejectedBefore] = columns(fed['reference']!);
      const chosen: Tensor1D = tf.sub(policy.chosen, chosenBefore);
      const rejected: Tensor1D = tf.sub(policy.rejected, rejectedBefore);
      const preference = tf.sum(lossesOf({ chosen, rejected, lengths: fed['lengths']! }, settings)) as Scalar;
      const loss: Scalar = alpha === 0 ? preference : tf.add(preference, tf.mul(policy.imitation, alpha));
      return { loss, others: preferenceSums({ policy, rewards: scaled({ chosen, rejected }, beta), preference }, options) };
    },

    metrics(sums) {
      const { preference, nll, weight, imitated } = sums as Record<string, number>;
      return { loss: preference! / weight! + (alpha === 0 ? 0 : (alpha * nll!) / imitated!), ...preferenceMetrics(sums) };
    },
  };
}

interface LogRatios {
  /** [pairs] log π(y|x) − log π_ref(y|x) */
  chosen: Tensor1D;
  rejected: Tensor1D;
  /** [pairs, 2] */
  lengths: Tensor;
}

/** @returns [pairs] */
function lossesOf({ chosen, rejected, lengths }: LogRatios, { beta, loss_type: type, label_smoothing: smoothing }: ResolvedDpo): Tensor1D {
  if (type === 'ipo') {
    const means = perToken({ chosen, rejected }, lengths);
    return tf.square(tf.sub(tf.sub(means.chosen, means.rejected), 1 / (2 * beta)));
  }
  const logits: Tensor1D = tf.mul(tf.sub(chosen, rejected), beta);
  return type === 'hinge' ? positivePart(tf.sub(1, logits)) : smoothedLosses(logits, smoothing);
}
