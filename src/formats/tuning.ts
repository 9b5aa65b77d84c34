import { type Static, Type } from 'typebox';

/** Largest rank accepted: above it an adapter stops being small and full fine-tuning is the better choice. */
export const MAX_RANK = 256;

/** PEFT's shorthand for every linear layer except the language-model head. */
export const ALL_LINEAR = 'all-linear';

/** LoRA (Hu et al. 2021), with the names and the meaning of PEFT's `LoraConfig`. */
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
  { additionalProperties: false, title: 'LoRA' },
);

export const FullTuning = Type.Object({ type: Type.Literal('full') }, { additionalProperties: false, title: 'Full fine-tuning' });

/** What a job may ask for in `tuning`. */
export const Tuning = Type.Union([LoraTuning, FullTuning]);
export type Tuning = Static<typeof Tuning>;
export const TUNING_TYPES: Tuning['type'][] = ['lora', 'full'];

export type ResolvedLora = Required<Static<typeof LoraTuning>>;
/** What is trained, every default filled in. */
export type ResolvedTuning = ResolvedLora | Static<typeof FullTuning>;

/** Graft's default: LoRA, r 16, alpha 32, every linear layer. */
export function resolveTuning(tuning: Tuning = { type: 'lora' }): ResolvedTuning {
  if (tuning.type === 'full') return tuning;
  const r = tuning.r ?? 16;
  return {
    type: 'lora',
    r,
    lora_alpha: tuning.lora_alpha ?? 2 * r,
    lora_dropout: tuning.lora_dropout ?? 0,
    target_modules: tuning.target_modules ?? ALL_LINEAR,
    use_rslora: tuning.use_rslora ?? false,
  };
}

/** The factor on B·A: alpha / r, or alpha / √r with rank-stabilised LoRA. */
export function loraScaling({ r, lora_alpha, use_rslora }: ResolvedLora): number {
  return lora_alpha / (use_rslora ? Math.sqrt(r) : r);
}
