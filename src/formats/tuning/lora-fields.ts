/** What `tuning` may say of LoRA. */
import { type Static, Type } from 'typebox';
import { MAX_PATTERN_LENGTH } from './python-pattern.ts';

/** Largest rank accepted: above it an adapter stops being small and full fine-tuning is the better choice. */
export const MAX_RANK = 256;
const MAX_ALPHA = 4096;
/** Entries of a list or a pattern map: more than a model has kinds of layers. */
export const MAX_NAMES = 64;
/** The paper's largest is 32. */
const MAX_LR_RATIO = 1_000;
/** Far more blocks than any model has. */
const MAX_BLOCKS = 1_024;

/** PEFT's shorthand for every linear layer except the language-model head. */
export const ALL_LINEAR = 'all-linear';

export const ModuleName = Type.String({ minLength: 1, maxLength: 128 });
const Pattern = Type.String({ minLength: 1, maxLength: MAX_PATTERN_LENGTH });
export const ModuleNames = Type.Array(ModuleName, { minItems: 1, maxItems: MAX_NAMES });
const BlocksName = Type.String({ pattern: '^[\\w.]{1,64}$' });
const Index = Type.Integer({ minimum: 0, maximum: MAX_BLOCKS - 1 });
const Rank = Type.Integer({ minimum: 1, maximum: MAX_RANK });
const Alpha = Type.Number({ exclusiveMinimum: 0, maximum: MAX_ALPHA });

const MergedLora = Type.Object(
  { r: Rank, lora_alpha: Alpha, use_rslora: Type.Boolean() },
  { additionalProperties: false, title: 'MergedLora', description: 'Rank and scaling of the adapter that the job starts from.' },
);
export type MergedLora = Static<typeof MergedLora>;

/** LoRA (Hu et al. 2021), with the names and meanings of PEFT's `LoraConfig`. */
export const LoraTuning = Type.Object(
  {
    type: Type.Literal('lora'),
    r: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_RANK, default: 16, description: 'Rank of the update B·A.' })),
    lora_alpha: Type.Optional(
      Type.Number({ exclusiveMinimum: 0, maximum: MAX_ALPHA, default: 32, description: 'The update is scaled by lora_alpha / r.' }),
    ),
    lora_dropout: Type.Optional(
      Type.Number({ minimum: 0, exclusiveMaximum: 1, default: 0, description: "Dropout on the adapter's input while training." }),
    ),
    target_modules: Type.Optional(
      Type.Union([Type.Literal(ALL_LINEAR), Pattern, ModuleNames], {
        default: ALL_LINEAR,
        description:
          'Module names as in the checkpoint (`q_proj`, `v_proj`, …), `all-linear`, or a regular expression that whole names match. It is Python’s, without lookaround, backreferences and flags.',
      }),
    ),
    use_rslora: Type.Optional(Type.Boolean({ default: false, description: 'Scale by lora_alpha / √r (Kalajdzievski 2023).' })),
    rank_pattern: Type.Optional(
      Type.Record(Pattern, Rank, {
        maxProperties: MAX_NAMES,
        description: 'Other ranks for some layers, by their names, ends of names, or regular expressions for them.',
      }),
    ),
    alpha_pattern: Type.Optional(Type.Record(Pattern, Alpha, { maxProperties: MAX_NAMES, description: 'The same for lora_alpha.' })),
    exclude_modules: Type.Optional(
      Type.Union([Pattern, ModuleNames], { description: 'Layers that stay as they are, in the forms of target_modules.' }),
    ),
    layers_to_transform: Type.Optional(
      Type.Union([Index, Type.Array(Index, { minItems: 1, maxItems: MAX_BLOCKS })], {
        description: 'Only these blocks, counted from 0; with a list of target_modules.',
      }),
    ),
    target_parameters: Type.Optional(
      Type.Array(ModuleName, {
        minItems: 1,
        maxItems: MAX_NAMES,
        description:
          'Experts and routers to adapt, by the ends of their parameters: `mlp.experts.gate_up_proj`, `mlp.experts.down_proj`, `mlp.gate.weight`. Where transformers 4 had a module for each expert (Mixtral, Qwen), `all-linear` contains them.',
      }),
    ),
    layers_pattern: Type.Optional(
      Type.Union([BlocksName, Type.Array(BlocksName, { minItems: 1, maxItems: MAX_NAMES })], {
        description: 'The name before the number of a block, such as `layers`.',
      }),
    ),
    init_lora_weights: Type.Optional(
      Type.Union(
        [
          Type.Boolean(),
          Type.Literal('gaussian'),
          Type.Literal('orthogonal'),
          Type.Literal('pissa'),
          Type.Literal('olora'),
          Type.String({ pattern: '^pissa_niter_[1-9]\\d?$' }),
        ],
        {
          default: true,
          description:
            'Initial values. With `pissa` (Meng et al. 2024) and `olora` (Büyükakyüz 2024) they are taken from the base; the adapter is delivered with twice the rank, for the base as it is.',
        },
      ),
    ),
    use_dora: Type.Optional(
      Type.Boolean({ default: false, description: "Trains the magnitude of each of a layer's outputs too (Liu et al. 2024)." }),
    ),
    bias: Type.Optional(
      Type.Union([Type.Literal('none'), Type.Literal('all'), Type.Literal('lora_only')], {
        default: 'none',
        description: 'Which biases of the base are trained too.',
      }),
    ),
    modules_to_save: Type.Optional(
      Type.Array(ModuleName, {
        minItems: 1,
        maxItems: MAX_NAMES,
        description: 'Modules that are trained whole and delivered with the adapter, by the ends of their names: `lm_head`, `norm`.',
      }),
    ),
    loraplus_lr_ratio: Type.Optional(
      Type.Number({
        minimum: 1,
        maximum: MAX_LR_RATIO,
        default: 1,
        description: 'The learning rate of B, biases and norms, divided by that of A (LoRA+, Hayou et al. 2024).',
      }),
    ),
    merge_first: Type.Optional(
      Type.Union([Type.Boolean(), MergedLora], {
        default: false,
        description:
          'Trains a new adapter on the base with the adapter that the job starts from merged into it; both are delivered as one, for the base as it is. The job shows what was merged in place of true.',
      }),
    ),
  },
  { additionalProperties: false, title: 'LoraTuning' },
);
export type LoraTuning = Static<typeof LoraTuning>;

type Always = 'type' | 'r' | 'lora_alpha' | 'lora_dropout' | 'target_modules' | 'use_rslora';
/** Fields beyond plain LoRA are absent unless they say something, so that older records of plain LoRA stay equal to new ones. */
export type ResolvedLora = Required<Pick<LoraTuning, Always>> & Omit<LoraTuning, Always>;

type Beyond = Omit<LoraTuning, Always>;
/** The defaults of those fields beyond plain LoRA that have one. */
const DEFAULTS: Beyond = { init_lora_weights: true, use_dora: false, bias: 'none', loraplus_lr_ratio: 1, merge_first: false };

/** @returns those that say something */
export const said = (fields: Beyond): Beyond =>
  Object.fromEntries(Object.entries(fields).filter(([field, value]) => !isEmpty(value) && value !== DEFAULTS[field as keyof Beyond]));

const isEmpty = (value: unknown): boolean => value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);
