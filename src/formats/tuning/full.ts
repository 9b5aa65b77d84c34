import { type Static, Type } from 'typebox';
import { weightShapes } from '../module-shapes.ts';
import type { TuningFormat } from './format.ts';

/** Full fine-tuning: every weight of the base is trained. */
export const FullTuning = Type.Object({ type: Type.Literal('full') }, { additionalProperties: false, title: 'FullTuning' });
export type FullTuning = Static<typeof FullTuning>;

export const fullFormat: TuningFormat<FullTuning, FullTuning> = {
  type: 'full',
  schema: FullTuning,
  resolve: (requested) => requested,
  baseLearningRate: 2e-5,
  trainedShapes: weightShapes,
  delivered: 'model',
};
