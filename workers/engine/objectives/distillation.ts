/**
 * Knowledge distillation (Hinton et al. 2015) from the tokens that a teacher lists, as Axolotl's plugin computes it: the divergence KL(teacher ‖ student) at a
 * temperature T, times T², beside the cross-entropy. The teacher's probabilities are those of the listed tokens, which sum to 1; the student's are over its
 * whole vocabulary, so that what it gives to other tokens counts against it.
 *
 * Unlike Axolotl's, a token without a teacher has the weight of both parts on its cross-entropy, as if its teacher were certain: what the chat template adds to
 * a turn, such as its end, would hardly be learned otherwise.
 */
import type { ResolvedDistillation } from '../../../src/formats/objectives/distillation.ts';
import { headParts } from '../../../src/formats/pass-size.ts';
import type { Batch } from '../data/batch.ts';
import type { Tensor, Tensor1D } from '../tensorflow/tensorflow.ts';
import { partSizes } from './cross-entropy.ts';
import { distillationLoss, type Taught } from './distillation-loss.ts';
import type { Objective } from './objective.ts';
import { supervisedPositions } from './supervised-positions.ts';

export function distillation({ kd_alpha: kd, kd_ce_alpha: ce, kd_temperature: temperature }: ResolvedDistillation): Objective {
  return {
    name: 'distillation',

    feeds: (context) => ({
      positions: { dtype: 'int32', shape: ['targets'] },
      targets: { dtype: 'int32', shape: ['targets'] },
      weights: { dtype: 'float32', shape: ['targets'] },
      part_sizes: { dtype: 'int32', shape: [headParts(context.trainsHead)] },
      ids: { dtype: 'int32', shape: ['targets', 'listed'] },
      places: { dtype: 'int32', shape: ['targets', 'listed', 2] },
      is_target: { dtype: 'float32', shape: ['targets', 'listed'] },
      probabilities: { dtype: 'float32', shape: ['targets', 'listed'] },
      certainties: { dtype: 'float32', shape: ['targets'] },
      taught: { dtype: 'float32', shape: ['targets'] },
    }),

    feed(batch, { config, trainsHead }) {
      const { positions, targets, weights } = supervisedPositions(batch);
      if (targets.length === 0) return null;
      const sizes = partSizes(targets.length, { vocabSize: config.vocabSize, parts: headParts(trainsHead) });
      const { listed, taught, ...lists } = listsOf(batch, { positions, targets, temperature, partSize: sizes[0]! });
      const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);
      return {
        values: { positions, targets, weights, part_sizes: sizes, taught, ...lists },
        sizes: { targets: targets.length, listed },
        known: { weight: sum(weights), taught_weight: sum(weights.map((weight, index) => weight * taught[index]!)), targets: targets.length },
      };
    },

    compute({ config, decoder, grid, parameters }, fed, { withGradient }) {
      const { positions, part_sizes: partSizes, is_target: isTarget, ...rest } = fed as Record<string, Tensor>;
      const states = decoder.statesAt(grid, positions as Tensor1D, parameters);
      const given = { ...rest, states, head: decoder.head(parameters), partSizes, isTarget } as unknown as Taught;
      const { loss, divergence, crossEntropy, correct } = distillationLoss(given, {
        kd,
        ce,
        temperature,
        softCap: config.logitSoftCap,
        withGradient,
      });
      return { loss, others: { divergence, cross_entropy: crossEntropy, correct } };
    },

    /** A step may have no token with a teacher, and then has no `kd_loss`. */
    metrics(sums) {
      const { loss, weight, taught_weight: taught, divergence, cross_entropy: crossEntropy, correct, targets } = sums as Record<string, number>;
      return {
        loss: loss! / weight!,
        ...(taught !== 0 && { kd_loss: divergence! / taught! }),
        ce_loss: crossEntropy! / weight!,
        mean_token_accuracy: correct! / targets!,
      };
    },
  };
}

interface ListOptions {
  /** [targets] Positions before the learned tokens, ascending, and the tokens. */
  positions: Int32Array;
  targets: Int32Array;
  temperature: number;
  /** Tokens in each part of the logits but the last. */
  partSize: number;
}

/** What the teacher lists for each learned token, in rows of one length that begin with the token itself. */
function listsOf({ teacher }: Batch, { positions, targets, temperature, partSize }: ListOptions) {
  const listed = teacher?.counts.reduce((most, count) => Math.max(most, count), 1) ?? 1;
  const size = targets.length * listed;
  const ids = new Int32Array(size);
  const places = new Int32Array(2 * size);
  const isTarget = new Float32Array(size);
  const probabilities = new Float32Array(size);
  const certainties = new Float32Array(targets.length);
  const taught = new Float32Array(targets.length);
  for (let index = 0, token = 0, from = 0; index < targets.length; index++) {
    const at = positions[index]! + 1;
    while (teacher !== undefined && token < teacher.at.length && teacher.at[token]! < at) from += teacher.counts[token++]!;
    const row = index * listed;
    ids.fill(targets[index]!, row, row + listed);
    isTarget[row] = 1;
    if (teacher?.at[token] === at) {
      const end = from + teacher.counts[token]!;
      ids.set(teacher.ids.subarray(from, end), row);
      const distribution = distributionOf(teacher.logProbabilities.subarray(from, end), temperature);
      probabilities.set(distribution, row);
      certainties[index] = distribution.reduce((sum, p) => sum + (p === 0 ? 0 : p * Math.log(p)), 0);
      taught[index] = 1;
    }
    for (let column = row; column < row + listed; column++) {
      places[2 * column] = index % partSize;
      places[2 * column + 1] = ids[column]!;
    }
  }
  return { listed, ids, places, is_target: isTarget, probabilities, certainties, taught };
}

/** @returns softmax(log-probabilities / T), in double precision */
function distributionOf(logProbabilities: Float32Array, temperature: number): number[] {
  const largest = logProbabilities.reduce((most, each) => Math.max(most, each), Number.NEGATIVE_INFINITY);
  const powers = Array.from(logProbabilities, (each) => Math.exp((each - largest) / temperature));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
