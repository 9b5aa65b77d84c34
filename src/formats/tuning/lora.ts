import { type Static, Type } from 'typebox';
import type { ModelConfig } from '../model-config.ts';
import { linearLayers } from '../module-shapes.ts';
import { Refusal } from '../refusal.ts';
import type { TuningFormat } from './format.ts';

/** Largest rank accepted: above it an adapter stops being small and full fine-tuning is the better choice. */
const MAX_RANK = 256;

/** PEFT's shorthand for every linear layer except the language-model head. */
export const ALL_LINEAR = 'all-linear';

/** LoRA (Hu et al. 2021), with the names and meanings of PEFT's `LoraConfig`. */
export const LoraTuning = Type.Object(
  {
    type: Type.Literal('lora'),
    r: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_RANK, default: 16, description: 'Rank of the update B·A.' })),
    lora_alpha: Type.Optional(
      Type.Number({ exclusiveMinimum: 0, maximum: 4096, default: 32, description: 'The update is scaled by lora_alpha / r.' }),
    ),
    lora_dropout: Type.Optional(
      Type.Number({ minimum: 0, exclusiveMaximum: 1, default: 0, description: "Dropout on the adapter's input while training." }),
    ),
    target_modules: Type.Optional(
      Type.Union([Type.Literal(ALL_LINEAR), Type.Array(Type.String({ minLength: 1, maxLength: 128 }), { minItems: 1, maxItems: 64 })], {
        default: ALL_LINEAR,
        description: 'Module names as in the checkpoint (`q_proj`, `v_proj`, …), or `all-linear`.',
      }),
    ),
    use_rslora: Type.Optional(Type.Boolean({ default: false, description: 'Scale by lora_alpha / √r (Kalajdzievski 2023).' })),
  },
  { additionalProperties: false, title: 'LoraTuning' },
);
export type LoraTuning = Static<typeof LoraTuning>;
export type ResolvedLora = Required<LoraTuning>;

export const loraFormat: TuningFormat<LoraTuning, ResolvedLora> = {
  type: 'lora',
  schema: LoraTuning,
  resolve({ type, r = 16, lora_alpha = 2 * r, lora_dropout = 0, target_modules = ALL_LINEAR, use_rslora = false }) {
    return { type, r, lora_alpha, lora_dropout, target_modules, use_rslora };
  },
  // About ten times full fine-tuning's (Thinking Machines 2025).
  baseLearningRate: 2e-4,
  trainedShapes: loraShapes,
  delivered: 'adapter',
  exports: ['alone', 'merged'],
};

/** The factor on B·A: alpha / r, or alpha / √r with rank-stabilised LoRA. */
export function loraScaling({ r, lora_alpha, use_rslora }: ResolvedLora): number {
  return lora_alpha / (use_rslora ? Math.sqrt(r) : r);
}

/**
 * Matches as PEFT does: a module is targeted if its name is in the list, or ends with a dot and a name from the list.
 * @throws Refusal `unknown_target_module` with every name that matches nothing
 */
export function targetedModules(modules: string[], targets: ResolvedLora['target_modules']): string[] {
  if (targets === ALL_LINEAR) return modules;
  const matches = (module: string, target: string): boolean => module === target || module.endsWith(`.${target}`);
  const unknown = targets.filter((target) => !modules.some((module) => matches(module, target)));
  if (unknown.length > 0) {
    const existing = [...new Set(modules.map((module) => module.slice(module.lastIndexOf('.') + 1)))];
    // As in PEFT, it is a name like any other once it is in a list.
    const meant = `"${ALL_LINEAR}" selects them all, as a string and not in a list: "target_modules": "${ALL_LINEAR}".`;
    throw new Refusal('unknown_target_module', `the model has no linear layer called ${unknown.join(', ')}`, {
      param: 'tuning.target_modules',
      hint: `It has ${existing.join(', ')}; ${unknown.includes(ALL_LINEAR) ? meant : `${ALL_LINEAR} selects them all.`}`,
    });
  }
  return modules.filter((module) => targets.some((target) => matches(module, target)));
}

/** PEFT's name for a trained matrix in `adapter_model.safetensors`. */
export const peftName = (module: string, matrix: 'A' | 'B'): string => `base_model.model.${module}.lora_${matrix}.weight`;

/** A [r, in] and B [out, r] of every targeted layer, under PEFT's names. @throws Refusal `unknown_target_module` */
function loraShapes(config: ModelConfig, { r, target_modules: targets }: ResolvedLora): Map<string, number[]> {
  const layers = linearLayers(config);
  const shapes = new Map<string, number[]>();
  for (const module of targetedModules([...layers.keys()], targets)) {
    const { out, in: input } = layers.get(module)!;
    shapes.set(peftName(module, 'A'), [r, input]).set(peftName(module, 'B'), [out, r]);
  }
  return shapes;
}
