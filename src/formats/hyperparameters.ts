import { type Static, Type } from 'typebox';
import { baseLearningRate, type ResolvedTuning, TUNING_TYPES } from './tuning/tuning.ts';

const orAuto = <T extends Type.TSchema>(schema: T, description: string) => Type.Optional(Type.Union([Type.Literal('auto'), schema], { description }));

/** OpenAI's three, and the names of Hugging Face's `TrainingArguments` / `SFTConfig` for the rest. */
export const Hyperparameters = Type.Object(
  {
    n_epochs: orAuto(Type.Integer({ minimum: 1, maximum: 50 }), 'Passes over the training file.'),
    batch_size: orAuto(Type.Integer({ minimum: 1, maximum: 256 }), 'Examples per optimizer step.'),
    learning_rate_multiplier: orAuto(
      Type.Number({ exclusiveMinimum: 0, maximum: 1000 }),
      `Multiplies the method's base learning rate (${TUNING_TYPES.map((type) => `${type} ${baseLearningRate(type)}`).join(', ')}); not together with learning_rate.`,
    ),
    learning_rate: orAuto(Type.Number({ exclusiveMinimum: 0, maximum: 1 }), 'Peak learning rate of AdamW.'),
    lr_scheduler_type: Type.Optional(Type.Union([Type.Literal('linear'), Type.Literal('cosine'), Type.Literal('constant')], { default: 'linear' })),
    warmup_ratio: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, default: 0.03, description: 'Share of all steps spent warming up; by default 0 for a single step.' }),
    ),
    weight_decay: Type.Optional(Type.Number({ minimum: 0, maximum: 1, default: 0 })),
    max_grad_norm: Type.Optional(Type.Number({ minimum: 0, default: 1, description: 'Global gradient-norm clip; 0 turns it off.' })),
    max_length: orAuto(Type.Integer({ minimum: 8, maximum: 131072 }), "Longest example in tokens; auto is the model's own limit."),
    truncation: Type.Optional(
      Type.Union([Type.Literal('error'), Type.Literal('right'), Type.Literal('left'), Type.Literal('drop')], {
        default: 'error',
        description: 'What happens to an example longer than max_length.',
      }),
    ),
    eval_steps: orAuto(Type.Integer({ minimum: 1 }), 'Optimizer steps between validation batches; auto: ten times per job.'),
    save_steps: orAuto(Type.Integer({ minimum: 1 }), 'Optimizer steps between checkpoints; auto: only at the end of each epoch.'),
    precision: Type.Optional(
      Type.Union([Type.Literal('f32'), Type.Literal('bf16'), Type.Literal('auto')], {
        default: 'auto',
        description:
          'Precision of matrix products; bf16 also stores the frozen base in it. auto chooses bf16 if the machine is clearly faster with it.',
      }),
    ),
    gradient_checkpointing: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Recomputes each block in the backward pass instead of keeping it: less memory, a third more arithmetic.',
      }),
    ),
  },
  { additionalProperties: false, title: 'Hyperparameters' },
);
export type Hyperparameters = Static<typeof Hyperparameters>;

/** Precision of matrix products: bf16 is the upper half of an f32. */
export type Precision = 'f32' | 'bf16';

/** With every choice resolved: what the job object shows once the data has been read. */
export interface ResolvedHyperparameters {
  n_epochs: number;
  batch_size: number;
  learning_rate_multiplier: number;
  learning_rate: number;
  lr_scheduler_type: 'linear' | 'cosine' | 'constant';
  warmup_ratio: number;
  weight_decay: number;
  max_grad_norm: number;
  max_length: number;
  truncation: 'error' | 'right' | 'left' | 'drop';
  eval_steps: number;
  /** 0: only at the end of each epoch. */
  save_steps: number;
  precision: Precision;
  gradient_checkpointing: boolean;
}

const explicit = <T extends number | string>(value: T | 'auto' | undefined): T | undefined => (value === 'auto' ? undefined : value);

/**
 * Fills in what the user left open.
 * @param facts.examples        training examples that remain after validation
 * @param facts.modelMaxLength  the model's own limit, tokens
 * @param facts.fastestPrecision the machine's fastest precision; called only for `auto`
 */
export function resolveHyperparameters(
  requested: Hyperparameters,
  facts: { examples: number; modelMaxLength: number; tuning: ResolvedTuning; fastestPrecision(): Precision },
): ResolvedHyperparameters {
  const base = baseLearningRate(facts.tuning.type);
  const batchSize = explicit(requested.batch_size) ?? Math.min(16, Math.max(1, Math.round(facts.examples / 50)));
  const stepsPerEpoch = Math.ceil(facts.examples / batchSize);
  // Small datasets need more passes: aim at 100 steps or more, within 3 to 10 epochs.
  const nEpochs = explicit(requested.n_epochs) ?? Math.min(10, Math.max(3, Math.ceil(100 / stepsPerEpoch)));
  const multiplier = explicit(requested.learning_rate_multiplier);
  const learningRate = explicit(requested.learning_rate) ?? base * (multiplier ?? 1);
  return {
    n_epochs: nEpochs,
    batch_size: batchSize,
    learning_rate_multiplier: multiplier ?? learningRate / base,
    learning_rate: learningRate,
    lr_scheduler_type: requested.lr_scheduler_type ?? 'linear',
    // The first step of a warm-up has a learning rate of 0: in a run of one step it would train nothing.
    warmup_ratio: requested.warmup_ratio ?? (stepsPerEpoch * nEpochs === 1 ? 0 : 0.03),
    weight_decay: requested.weight_decay ?? 0,
    max_grad_norm: requested.max_grad_norm ?? 1,
    max_length: Math.min(explicit(requested.max_length) ?? facts.modelMaxLength, facts.modelMaxLength),
    truncation: requested.truncation ?? 'error',
    eval_steps: explicit(requested.eval_steps) ?? Math.max(1, Math.ceil((stepsPerEpoch * nEpochs) / 10)),
    save_steps: explicit(requested.save_steps) ?? 0,
    precision: explicit(requested.precision) ?? facts.fastestPrecision(),
    gradient_checkpointing: requested.gradient_checkpointing ?? false,
  };
}
