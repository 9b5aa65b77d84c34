/** Full fine-tuning: every weight is trained, embedding, norms and head included. A tied head is one with the embedding. */
import type { FullTuning } from '../../../src/formats/tuning/full.ts';
import { saveModel, storedDtype } from '../io/model-directory.ts';
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
  // Stored in the precision that the base is stored in.
  save: (model, dir, { base }) => saveModel(model, dir, { sourceDir: base.modelDir, dtype: storedDtype(base.modelDir) }),
  tensorFiles: weightFiles,
  layoutProblems: (deliveredDir, { modelDir }) => modelProblems(deliveredDir, modelDir),
  adapter: null,
};
