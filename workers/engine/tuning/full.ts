/** Full fine-tuning: the weights are trained, including embedding, norms and head, or those of some blocks. A tied head shares the embedding's weight. */
import { type FullTuning, trainedInFull } from '../../../src/formats/tuning/full.ts';
import type { Method } from './method.ts';
import { trainsBaseWeights } from './weights-of-base.ts';

export const full: Method<FullTuning> = {
  ...trainsBaseWeights,
  trainsWeight: (name, { config, tuning }) => trainedInFull(config, tuning)(name),
};
