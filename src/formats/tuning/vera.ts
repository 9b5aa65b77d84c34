import { type Static, Type } from 'typebox';
import type { ModelConfig } from '../model-config.ts';
import { linearLayers } from '../module-shapes.ts';
import { Refusal } from '../refusal.ts';
import type { TuningFormat } from './format.ts';
import { ALL_LINEAR, ModuleNames } from './lora-fields.ts';
import { targetedModules } from './lora-layers.ts';

/** Beyond it, the products with A and B cost more than those of the model. */
const MAX_RANK = 4096;

/** VeRA (Kopiczko et al. 2024), with the names and meanings of PEFT's `VeraConfig`. */
export const VeraTuning = Type.Object(
  {
    type: Type.Literal('vera'),
    r: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_RANK, default: 256, description: 'Rank of the fixed random matrices A and B.' })),
    target_modules: Type.Optional(
      Type.Union([Type.Literal(ALL_LINEAR), ModuleNames], {
        description: "Module names as in the checkpoint, or `all-linear`; default: PEFT's for the model's family.",
      }),
    ),
    projection_prng_key: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2 ** 32 - 1,
        default: 0,
        description: 'Seed of A and B. The numbers are not those that PyTorch draws from the same seed, so they are part of what is delivered.',
      }),
    ),
    save_projection: Type.Optional(Type.Literal(true, { default: true, description: 'Only true: A and B are part of what is delivered.' })),
    vera_dropout: Type.Optional(
      Type.Number({ minimum: 0, exclusiveMaximum: 1, default: 0, description: "Dropout on the adapter's input while training." }),
    ),
    d_initial: Type.Optional(Type.Number({ minimum: -10, maximum: 10, default: 0.1, description: 'First value of the vectors d.' })),
  },
  { additionalProperties: false, title: 'VeraTuning' },
);
export type VeraTuning = Static<typeof VeraTuning>;
export interface ResolvedVera {
  type: 'vera';
  r: number;
  target_modules?: string[] | typeof ALL_LINEAR;
  projection_prng_key: number;
  save_projection: true;
  vera_dropout: number;
  d_initial: number;
}

const QUERY_AND_VALUE = ['q_proj', 'v_proj'];
/** PEFT's `TRANSFORMERS_MODELS_TO_VERA_TARGET_MODULES_MAPPING`, by `model_type`; the other families have no defaults. */
const DEFAULT_TARGETS: Readonly<Record<string, string[]>> = {
  llama: QUERY_AND_VALUE,
  mistral: QUERY_AND_VALUE,
  qwen2: QUERY_AND_VALUE,
  qwen3: QUERY_AND_VALUE,
  gemma: QUERY_AND_VALUE,
  gemma2: QUERY_AND_VALUE,
  gemma3_text: QUERY_AND_VALUE,
  gpt2: ['c_attn'],
  gpt_neox: ['query_key_value'],
};

export const veraFormat: TuningFormat<VeraTuning, ResolvedVera> = {
  type: 'vera',
  schema: VeraTuning,
  resolve: ({ type, r = 256, target_modules: targets, projection_prng_key: key = 0, vera_dropout = 0, d_initial = 0.1 }) => ({
    type,
    r,
    ...(targets !== undefined && { target_modules: targets }),
    projection_prng_key: key,
    save_projection: true,
    vera_dropout,
    d_initial,
  }),
  // The paper's for instruction tuning, ten to twenty times LoRA's.
  baseLearningRate: 4e-3,
  trainedShapes: veraShapes,
  constantShapes: projectionShapes,
  keptElements: (config, tuning) => veraLayers(config, tuning).size * tuning.r,
  delivered: 'adapter',
  exports: ['merged'],
};

/** @throws Refusal `unknown_target_module` for a family without defaults */
export function veraTargets({ modelType }: ModelConfig, { target_modules: targets }: ResolvedVera): string[] | typeof ALL_LINEAR {
  const found = targets ?? DEFAULT_TARGETS[modelType];
  if (found !== undefined) return found;
  throw new Refusal('unknown_target_module', `PEFT has no default target_modules of VeRA for ${modelType} models`, {
    param: 'tuning.target_modules',
    hint: `Name layers of the model, or use "${ALL_LINEAR}".`,
  });
}

/** @returns the size of each layer with vectors, in the model's order. @throws Refusal `unknown_target_module` */
export function veraLayers(config: ModelConfig, tuning: ResolvedVera): Map<string, { out: number; in: number }> {
  const layers = linearLayers(config);
  return new Map(targetedModules([...layers.keys()], { target_modules: veraTargets(config, tuning) }).map((module) => [module, layers.get(module)!]));
}

/** PEFT's name for a trained vector: d has r elements, b has one for each output. */
export const veraName = (module: string, vector: 'b' | 'd'): string => `base_model.model.${module}.vera_lambda_${vector}`;
/** PEFT's names for the matrices that all layers share. */
export const PROJECTIONS = { A: 'base_model.vera_A', B: 'base_model.vera_B' } as const;

function veraShapes(config: ModelConfig, tuning: ResolvedVera): Map<string, number[]> {
  const vectors = [...veraLayers(config, tuning)].flatMap(([module, { out }]): [string, number[]][] => [
    [veraName(module, 'b'), [out]],
    [veraName(module, 'd'), [tuning.r]],
  ]);
  return new Map(vectors);
}

/** A [r, in] and B [out, r] for the widest layer; a narrower one uses their first columns and rows. */
function projectionShapes(config: ModelConfig, tuning: ResolvedVera): Map<string, number[]> {
  const sizes = [...veraLayers(config, tuning).values()];
  return new Map([
    [PROJECTIONS.A, [tuning.r, Math.max(...sizes.map((layer) => layer.in))]],
    [PROJECTIONS.B, [Math.max(...sizes.map(({ out }) => out)), tuning.r]],
  ]);
}
