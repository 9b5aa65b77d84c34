import { type Static, Type } from 'typebox';
import type { ModelConfig } from '../model-config.ts';
import { weightShapes } from '../module-shapes.ts';
import { Refusal } from '../refusal.ts';
import type { TuningFormat } from './format.ts';

/** BitFit (Ben Zaken et al. 2022): all biases of the base are trained, those of its norms too, and nothing else. */
export const BitfitTuning = Type.Object({ type: Type.Literal('bitfit') }, { additionalProperties: false, title: 'BitfitTuning' });
export type BitfitTuning = Static<typeof BitfitTuning>;

export const bitfitFormat: TuningFormat<BitfitTuning, BitfitTuning> = {
  type: 'bitfit',
  schema: BitfitTuning,
  resolve: (requested) => requested,
  // Within the paper's range, 1e-4 to 1e-3.
  baseLearningRate: 4e-4,
  trainedShapes: biases,
  // PEFT has no format for biases alone, and they are weights that the base has: what is delivered is the model.
  delivered: 'model',
  exports: [],
};

export const isBias = (name: string): boolean => /(\.|_proj_)bias$/.test(name);

/** @throws Refusal `no_biases` */
function biases(config: ModelConfig): Map<string, number[]> {
  const found = new Map([...weightShapes(config)].filter(([name]) => isBias(name)));
  if (found.size === 0)
    throw new Refusal('no_biases', `this ${config.modelType} model has no biases, which are all that bitfit trains`, {
      param: 'tuning.type',
      hint: 'Use "lora", or "ia3", which trains about as few parameters.',
    });
  return found;
}
