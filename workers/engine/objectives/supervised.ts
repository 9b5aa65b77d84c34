/** Supervised fine-tuning: cross-entropy on the tokens to learn, each with a weight. */
import { headParts } from '../../../src/formats/pass-size.ts';
import type { Tensor1D } from '../tensorflow/tensorflow.ts';
import { crossEntropy, partSizes } from './cross-entropy.ts';
import type { Objective } from './objective.ts';
import { supervisedPositions } from './supervised-positions.ts';

export const supervised: Objective = {
  name: 'supervised',

  feeds: (context) => ({
    positions: { dtype: 'int32', shape: ['targets'] },
    targets: { dtype: 'int32', shape: ['targets'] },
    weights: { dtype: 'float32', shape: ['targets'] },
    part_sizes: { dtype: 'int32', shape: [headParts(context.trainsHead)] },
  }),

  feed(batch, context) {
    const { positions, targets, weights } = supervisedPositions(batch);
    if (targets.length === 0) return null;
    const sizes = partSizes(targets.length, { vocabSize: context.config.vocabSize, parts: headParts(context.trainsHead) });
    const weight = weights.reduce((sum, each) => sum + each, 0);
    return {
      values: { positions, targets, weights, part_sizes: sizes },
      sizes: { targets: targets.length },
      known: { weight, targets: targets.length },
    };
  },

  compute({ config, decoder, grid, parameters }, fed, { withGradient, perToken }) {
    const { positions, targets, weights, part_sizes: sizes } = fed as Record<string, Tensor1D>;
    const states = decoder.statesAt(grid, positions!, parameters);
    const predictions = { states, head: decoder.head(parameters), targets: targets!, weights: weights!, partSizes: sizes! };
    const { loss, correct, tokens } = crossEntropy(predictions, { withGradient, softCap: config.logitSoftCap, ...(perToken && { perToken }) });
    const sums = { loss, others: { correct } };
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

  metrics: ({ loss, weight, correct, targets }) => ({ loss: loss / weight, mean_token_accuracy: correct! / targets! }),
};
