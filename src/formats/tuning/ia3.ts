import { type Static, Type } from 'typebox';
import type { ModelConfig } from '../model-config.ts';
import { linearLayers } from '../module-shapes.ts';
import { Refusal } from '../refusal.ts';
import type { TuningFormat } from './format.ts';
import { ALL_LINEAR, MAX_NAMES, ModuleName, ModuleNames } from './lora-fields.ts';
import { targetedModules } from './lora-layers.ts';

/** (IA)³ (Liu et al. 2022), with the names and meanings of PEFT's `IA3Config`. */
export const Ia3Tuning = Type.Object(
  {
    type: Type.Literal('ia3'),
    target_modules: Type.Optional(
      Type.Union([Type.Literal(ALL_LINEAR), ModuleNames], {
        description: "Layers with a trained vector, by their names in the checkpoint, or `all-linear`; default: PEFT's for the model's family.",
      }),
    ),
    feedforward_modules: Type.Optional(
      Type.Array(ModuleName, {
        maxItems: MAX_NAMES,
        description: "Those of them whose input is scaled, and not their output; default: PEFT's for the model's family.",
      }),
    ),
  },
  { additionalProperties: false, title: 'Ia3Tuning' },
);
export type Ia3Tuning = Static<typeof Ia3Tuning>;

interface Defaults {
  target_modules: string[];
  feedforward_modules: string[];
}

const withFeedforward = (targets: string[], feedforward: string): Defaults => ({
  target_modules: [...targets, feedforward],
  feedforward_modules: [feedforward],
});

/** PEFT's `TRANSFORMERS_MODELS_TO_IA3_…_MODULES_MAPPING`, by `model_type`; the other families have no defaults. */
const DEFAULTS: Readonly<Record<string, Defaults>> = {
  llama: withFeedforward(['k_proj', 'v_proj'], 'down_proj'),
  mistral: withFeedforward(['k_proj', 'v_proj'], 'down_proj'),
  qwen2: withFeedforward(['q_proj', 'v_proj'], 'down_proj'),
  qwen3: withFeedforward(['q_proj', 'v_proj'], 'down_proj'),
  gemma: withFeedforward(['q_proj', 'v_proj'], 'down_proj'),
  gemma2: withFeedforward(['q_proj', 'v_proj'], 'down_proj'),
  gemma3_text: withFeedforward(['q_proj', 'v_proj'], 'down_proj'),
  gpt2: withFeedforward(['c_attn'], 'mlp.c_proj'),
  gpt_neox: withFeedforward(['query_key_value'], 'dense_4h_to_h'),
};

export const ia3Format: TuningFormat<Ia3Tuning, Ia3Tuning> = {
  type: 'ia3',
  schema: Ia3Tuning,
  resolve: (requested) => requested,
  // The paper's (T-Few): vectors of ones need large steps.
  baseLearningRate: 3e-3,
  trainedShapes: ia3Shapes,
  // What is scaled is kept as it was before.
  keptElements: (config, tuning) => [...ia3Shapes(config, tuning).values()].reduce((sum, shape) => sum + Math.max(...shape), 0),
  delivered: 'adapter',
  exports: ['merged'],
};

/** Where the vector of a layer is multiplied. */
export type ScaledSide = 'input' | 'output';

/**
 * @returns the layers with a vector, in the model's order
 * @throws Refusal `unknown_target_module`
 */
export function scaledLayers(config: ModelConfig, tuning: Ia3Tuning): Map<string, ScaledSide> {
  const { target_modules: targets, feedforward_modules: feedforward } = withDefaults(config, tuning);
  const modules = [...linearLayers(config).keys()];
  const targeted = targetedModules(modules, { target_modules: targets });
  // PEFT compares the end of the name, without a dot.
  const isFeedforward = (module: string): boolean => feedforward.some((name) => module.endsWith(name));
  const unknown = feedforward.filter((name) => tuning.feedforward_modules !== undefined && !targeted.some((module) => module.endsWith(name)));
  if (unknown.length > 0)
    throw new Refusal('unknown_target_module', `feedforward_modules names ${unknown.join(', ')}, but target_modules does not`, {
      param: 'tuning.feedforward_modules',
      hint: 'Name layers that are target_modules too.',
    });
  return new Map(targeted.map((module) => [module, isFeedforward(module) ? 'input' : 'output']));
}

/** @throws Refusal `unknown_target_module` for a family without defaults */
export function withDefaults({ modelType }: ModelConfig, { target_modules: targets, feedforward_modules: feedforward }: Ia3Tuning) {
  const defaults = DEFAULTS[modelType];
  const missing = targets === undefined ? 'target_modules' : feedforward === undefined ? 'feedforward_modules' : null;
  if (missing !== null && defaults === undefined)
    throw new Refusal('unknown_target_module', `PEFT has no default ${missing} of (IA)³ for ${modelType} models`, {
      param: `tuning.${missing}`,
      hint: 'Common choices are "target_modules": ["k_proj", "v_proj", "down_proj"], "feedforward_modules": ["down_proj"], by the names in the checkpoint.',
    });
  return { target_modules: targets ?? defaults!.target_modules, feedforward_modules: feedforward ?? defaults!.feedforward_modules };
}

const PREFIX = 'base_model.model.';
/** PEFT's name for the vector of a layer. */
export const ia3Name = (module: string): string => `${PREFIX}${module}.ia3_l`;

/** [1, in] of a layer whose input is scaled, [out, 1] of one whose output is. */
function ia3Shapes(config: ModelConfig, tuning: Ia3Tuning): Map<string, number[]> {
  const layers = linearLayers(config);
  return new Map(
    [...scaledLayers(config, tuning)].map(([module, side]) => {
      const { in: input, out } = layers.get(module)!;
      return [ia3Name(module), side === 'input' ? [1, input] : [out, 1]];
    }),
  );
}
