/** The tuning methods that a job may choose from; the engine's part of each is in `workers/engine/tuning`. */
import { Type } from 'typebox';
import type { ModelConfig } from '../model-config.ts';
import { weightShapes } from '../module-shapes.ts';
import { BitfitTuning, bitfitFormat } from './bitfit.ts';
import type { AdapterExport, TuningFormat } from './format.ts';
import { FullTuning, fullFormat } from './full.ts';
import { Ia3Tuning, ia3Format } from './ia3.ts';
import { loraFormat } from './lora.ts';
import { LoraTuning, type ResolvedLora } from './lora-fields.ts';
import { PrefixTuning, prefixFormat, type ResolvedPrefix } from './prefix.ts';
import { PromptTuning, promptFormat, type ResolvedPrompt } from './prompt.ts';
import { type ResolvedVera, VeraTuning, veraFormat } from './vera.ts';

/** What a job may ask for in `tuning`. */
export const Tuning = Type.Union([LoraTuning, FullTuning, BitfitTuning, Ia3Tuning, VeraTuning, PromptTuning, PrefixTuning]);
export type Tuning = LoraTuning | FullTuning | BitfitTuning | Ia3Tuning | VeraTuning | PromptTuning | PrefixTuning;
export type TuningType = Tuning['type'];
/** The same with every default filled in. */
export type ResolvedTuning = ResolvedLora | FullTuning | BitfitTuning | Ia3Tuning | ResolvedVera | ResolvedPrompt | ResolvedPrefix;

const FORMATS: { [T in TuningType]: TuningFormat<never, Extract<ResolvedTuning, { type: T }>> } = {
  lora: loraFormat,
  full: fullFormat,
  bitfit: bitfitFormat,
  ia3: ia3Format,
  vera: veraFormat,
  prompt: promptFormat,
  prefix: prefixFormat,
};

export const TUNING_TYPES = Object.keys(FORMATS) as TuningType[];

export const tuningSchema = (type: TuningType): Type.TSchema => FORMATS[type].schema;

/** Graft's default is LoRA, r 16, alpha 32, on every linear layer. */
export const resolveTuning = (tuning: Tuning = { type: 'lora' }): ResolvedTuning => FORMATS[tuning.type].resolve(tuning as never);

export const baseLearningRate = (type: TuningType): number => FORMATS[type].baseLearningRate;

/** Names and shapes of everything that is trained. @throws Refusal for a tuning that does not fit the model */
export const trainedShapes = (config: ModelConfig, tuning: ResolvedTuning): Map<string, number[]> =>
  FORMATS[tuning.type].trainedShapes(config, tuning as never);

/** Names and shapes of what a method adds to the model without training it. */
export const constantShapes = (config: ModelConfig, tuning: ResolvedTuning): Map<string, number[]> =>
  FORMATS[tuning.type].constantShapes?.(config, tuning as never) ?? new Map();

/** Elements that the backward pass keeps for each token because of what a method adds; null: see `TuningFormat`. */
export const keptElements = (config: ModelConfig, tuning: ResolvedTuning): number | null =>
  FORMATS[tuning.type].keptElements?.(config, tuning as never) ?? null;

/** How many virtual tokens a method puts before each text. */
export const virtualTokens = (tuning: ResolvedTuning): number => FORMATS[tuning.type].virtualTokens?.(tuning as never) ?? 0;

/** Names and shapes of the tensors that a job delivers. */
export const deliveredShapes = (config: ModelConfig, tuning: ResolvedTuning): Map<string, number[]> =>
  deliveredBy(tuning.type) === 'model' ? weightShapes(config) : new Map([...trainedShapes(config, tuning), ...constantShapes(config, tuning)]);

/** What exports make of a method's adapter. */
export const adapterExports = (type: TuningType): readonly AdapterExport[] => FORMATS[type].exports;

/** Refuses what no model could be trained with. @throws Refusal */
export const checkTuning = (tuning: ResolvedTuning): void => FORMATS[tuning.type].check?.(tuning as never);

/** The tuning with which what a job delivered is continued. */
export const continuedTuning = (tuning: ResolvedTuning): ResolvedTuning => FORMATS[tuning.type].continued?.(tuning as never) ?? tuning;

/** Whether a job delivers what it added to the base, or the whole model. */
export const deliveredBy = (type: TuningType): 'adapter' | 'model' => FORMATS[type].delivered;
