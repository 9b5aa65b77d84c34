/** BitFit (Ben Zaken et al. 2022): the biases alone are trained. */
import { type BitfitTuning, bitfitFormat, isBias } from '../../../src/formats/tuning/bitfit.ts';
import type { Method } from './method.ts';
import { trainsBaseWeights } from './weights-of-base.ts';

export const bitfit: Method<BitfitTuning> = {
  ...trainsBaseWeights,
  trainsWeight: isBias,
  join(weights, options) {
    bitfitFormat.trainedShapes(options.config, options.tuning); // refuses a model without biases
    return trainsBaseWeights.join(weights, options);
  },
};
