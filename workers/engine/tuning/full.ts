/** Full fine-tuning: every weight is trained, including embedding, norms and head. A tied head shares the embedding's weight. */
import type { FullTuning } from '../../../src/formats/tuning/full.ts';
import { saveModel, storedDtypeOf } from '../io/model-directory.ts';
import { weightFiles } from '../io/weight-files.ts';
import { modelProblems } from '../proof/model-layout.ts';
import type { Variable } from '../tensorflow/tensorflow.ts';
import type { Method } from './method.ts';
import { byName, plainParameters } from './trained.ts';

export const full: Method<FullTuning> = {
  peftType: null,
  trainsWeight: () => true,
  join: (weights, { config }) => ({
    trainable: byName(weights as ReadonlyMap<string, Variable>),
    parameters: () => plainParameters(weights, config),
  }),
  // Saved in the precision in which the base is stored.
  save: (model, dir, { base }) => saveModel(model, dir, { sourceDir: base.modelDir, dtype: storedDtypeOf(base.modelDir) }),
  tensorFiles: weightFiles,
  layoutProblems: (deliveredDir, { modelDir }) => modelProblems(deliveredDir, modelDir),
  adapter: null,
};
