import { type Static, Type } from 'typebox';
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
};

/** The factor on B·A: alpha / r, or alpha / √r with rank-stabilised LoRA. */
export function loraScaling({ r, lora_alpha, use_rslora }: ResolvedLora): number {
  return lora_alpha / (use_rslora ? Math.sqrt(r) : r);
}
