/** The tuning methods that a job may choose from; the engine's part of each is in `workers/engine/tuning`. */
import { Type } from 'typebox';
import type { ModelConfig } from '../model-config.ts';
import type { TuningFormat } from './format.ts';
import { FullTuning, fullFormat } from './full.ts';
import { LoraTuning, loraFormat, type ResolvedLora } from './lora.ts';

/** What a job may ask for in `tuning`. */
export const Tuning = Type.Union([LoraTuning, FullTuning]);
export type Tuning = LoraTuning | FullTuning;
export type TuningType = Tuning['type'];
/** The same with every default filled in. */
export type ResolvedTuning = ResolvedLora | FullTuning;

const FORMATS: { [T in TuningType]: TuningFormat<never, Extract<ResolvedTuning, { type: T }>> } = { lora: loraFormat, full: fullFormat };

export const TUNING_TYPES = Object.keys(FORMATS) as TuningType[];

export const tuningSchema = (type: TuningType): Type.TSchema => FORMATS[type].schema;

/** Graft's default is LoRA, r 16, alpha 32, on every linear layer. */
export const resolveTuning = (tuning: Tuning = { type: 'lora' }): ResolvedTuning => FORMATS[tuning.type].resolve(tuning as never);

export const baseLearningRate = (type: TuningType): number => FORMATS[type].baseLearningRate;

/** Names and shapes of everything that is trained. @throws Refusal for a tuning that does not fit the model */
export const trainedShapes = (config: ModelConfig, tuning: ResolvedTuning): Map<string, number[]> =>
  FORMATS[tuning.type].trainedShapes(config, tuning as never);

/** Whether a job delivers what it added to the base, or the whole model. */
export const deliveredBy = (type: TuningType): 'adapter' | 'model' => FORMATS[type].delivered;
