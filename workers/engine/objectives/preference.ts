/** What all preference objectives report, under TRL's names. */
import { type Tensor, type Tensor1D, tf } from '../tensorflow/tensorflow.ts';
import type { Answers } from './answers.ts';
import type { ComputedSums, Sums } from './objective.ts';

interface Reported {
  policy: Answers;
  /** [pairs] each */
  rewards: { chosen: Tensor1D; rejected: Tensor1D };
  /** Sum of the pairs' losses, without what is learned by cross-entropy. */
  preference: Tensor;
}

/** Rewards are log-probabilities, or their change, times β. */
export const scaled = ({ chosen, rejected }: Reported['rewards'], beta: number): Reported['rewards'] => ({
  chosen: tf.mul(chosen, beta),
  rejected: tf.mul(rejected, beta),
});

/** @returns sums that the caller of `Objective.compute` owns */
export function owned(compute: () => Record<string, Tensor>, { withGradient }: { withGradient: boolean }): ComputedSums['others'] {
  const sums = tf.tidy(compute) as ComputedSums['others'];
  if (withGradient) for (const sum of Object.values(sums)) tf.keep(sum);
  return sums;
}

export const preferenceSums = ({ policy, rewards, preference }: Reported, options: { withGradient: boolean }): ComputedSums['others'] =>
  owned(
    () => ({
      preference: tf.clone(preference),
      nll: tf.clone(policy.nll),
      correct: tf.clone(policy.correct),
      chosen_rewards: tf.sum(rewards.chosen),
      rejected_rewards: tf.sum(rewards.rejected),
      accurate: tf.sum(tf.cast(tf.greater(rewards.chosen, rewards.rejected), 'float32')),
      chosen_logps: tf.sum(policy.chosen),
      rejected_logps: tf.sum(policy.rejected),
    }),
    options,
  );

/** Means over pairs, and over tokens of the preferred answers. */
export function preferenceMetrics(sums: Sums): Record<string, number> {
  const { weight, chosen_rewards: chosen, rejected_rewards: rejected } = sums as Record<string, number> & Sums;
  const mean = (name: string): number => sums[name]! / weight;
  return {
    mean_token_accuracy: sums['correct']! / sums['chosen_tokens']!,
    'rewards/chosen': chosen! / weight,
    'rewards/rejected': rejected! / weight,
    'rewards/accuracies': mean('accurate'),
    'rewards/margins': (chosen! - rejected!) / weight,
    'logps/chosen': mean('chosen_logps'),
    'logps/rejected': mean('rejected_logps'),
  };
}
