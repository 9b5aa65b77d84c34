/** Supervised fine-tuning: cross-entropy on the tokens to learn, each with a weight. */

import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { headParts } from '../../../src/formats/pass-size.ts';
import type { Routing } from '../model/mixture.ts';
import { type Scalar, type Tensor1D, tf } from '../tensorflow/tensorflow.ts';
import { balanceLoss, tokenPlaces } from './balance.ts';
import { crossEntropy, partSizes } from './cross-entropy.ts';
import type { Objective } from './objective.ts';
import { supervisedPositions } from './supervised-positions.ts';

/** Whether the use of experts is to be kept even: the loss for that, of the pass's tokens, is added to the mean of the others. */
const isBalanced = ({ experts }: ModelConfig): boolean => experts?.balance !== undefined;

export const supervised: Objective = {
  name: 'supervised',

  feeds: ({ config, trainsHead }) => ({
    positions: { dtype: 'int32', shape: ['targets'] },
    targets: { dtype: 'int32', shape: ['targets'] },
    weights: { dtype: 'float32', shape: ['targets'] },
    part_sizes: { dtype: 'int32', shape: [headParts(trainsHead)] },
    ...(isBalanced(config) && { places: { dtype: 'int32', shape: ['tokens'] } }),
  }),

  feed(batch, context) {
    const { positions, targets, weights } = supervisedPositions(batch);
    if (targets.length === 0) return null;
    const sizes = partSizes(targets.length, { vocabSize: context.config.vocabSize, parts: headParts(context.trainsHead) });
    const weight = weights.reduce((sum, each) => sum + each, 0);
    const places = isBalanced(context.config) ? tokenPlaces(batch) : null;
    return {
      values: { positions, targets, weights, part_sizes: sizes, ...(places && { places }) },
      sizes: { targets: targets.length, ...(places && { tokens: places.length }) },
      known: { weight, targets: targets.length },
    };
  },

  compute({ config, decoder, grid, parameters }, fed, { withGradient, perToken }) {
    const { positions, targets, weights, part_sizes: sizes, places } = fed as Record<string, Tensor1D>;
    const routings: Routing[] = [];
    const states = decoder.statesAt(grid, positions!, parameters, routings);
    const predictions = { states, head: decoder.head(parameters), targets: targets!, weights: weights!, partSizes: sizes! };
    const { loss, correct, tokens } = crossEntropy(predictions, { withGradient, softCap: config.logitSoftCap, ...(perToken && { perToken }) });
    const balance = places === undefined ? null : (tf.mul(balanceLoss(routings, places), tf.sum(weights!)) as Scalar);
    if (balance !== null && withGradient) tf.keep(balance);
    const whole: Scalar = balance === null ? loss : tf.add(loss, tf.mul(balance, config.experts!.balance!));
    const sums = { loss: whole, others: { correct, ...(balance && { balance }) } };
    return tokens === undefined ? sums : { ...sums, tokens: { loss: tokens.losses, correct: tokens.correct } };
  },

  sumsOf({ values }, tokens, isOne) {
    const { positions, weights } = values;
    const sums = { loss: 0, weight: 0, targets: 0, correct: 0 };
    for (const [index, position] of positions!.entries()) {
      if (!isOne(position)) continue;
      sums.loss += tokens['loss']![index]!;
      sums.correct += tokens['correct']![index]!;
      sums.weight += weights![index]!;
      sums.targets += 1;
    }
    return sums;
  },

  metrics: ({ loss, weight, correct, targets, balance }) => ({
    loss: loss / weight,
    mean_token_accuracy: correct! / targets!,
    ...(balance !== undefined && { aux_loss: balance / weight }),
  }),
};
