/** What the methods have in common that train weights of the base and deliver a model. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import { saveModel, storedDtypeOf } from '../io/model-directory.ts';
import { weightFiles } from '../io/weight-files.ts';
import { modelProblems } from '../proof/model-layout.ts';
import type { Tensor } from '../tensorflow/tensorflow.ts';
import type { Method } from './method.ts';
import { byName, plainParameters, type Trained, variablesOf } from './trained.ts';

export const trainsBaseWeights: Omit<Method<ResolvedTuning>, 'trainsWeight' | 'adapter'> & { adapter: null } = {
  peftType: null,
  join: (weights: ReadonlyMap<string, Tensor>, { config }: { config: ModelConfig }): Trained => ({
    trainable: byName(variablesOf(weights)),
    parameters: () => plainParameters(weights, config),
  }),
  // Saved in the precision in which the base is stored.
  save: (model, dir, { base }) => saveModel(model, dir, { sourceDir: base.modelDir, dtype: storedDtypeOf(base.modelDir) }),
  tensorFiles: weightFiles,
  layoutProblems: (deliveredDir, { modelDir }) => modelProblems(deliveredDir, modelDir),
  adapter: null,
};
