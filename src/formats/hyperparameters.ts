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
      Type.Number({ minimum: 0, maximum: 1, default: 0.03, description: 'Share of all steps spent warming up; by default none of a single step.' }),
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
    eval_steps: orAuto(Type.Integer({ minimum: 1 }), 'Optimizer steps between validation batches; auto: ten times a job.'),
    save_steps: orAuto(Type.Integer({ minimum: 1 }), 'Optimizer steps between checkpoints; auto: the end of each epoch alone.'),
    precision: Type.Optional(
      Type.Union([Type.Literal('f32'), Type.Literal('bf16'), Type.Literal('auto')], {
        default: 'auto',
        description:
          "Of matrix products; bf16 also holds the frozen base in bf16. auto takes bf16 where the worker's machine multiplies clearly faster in it.",
      }),
    ),
    gradient_checkpointing: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Computes each block again in the backward pass instead of keeping it: less memory, a third more arithmetic.',
      }),
    ),
  },
  { additionalProperties: false, title: 'Hyperparameters' },
);
export type Hyperparameters = Static<typeof Hyperparameters>;

/** What matrices are multiplied in: bf16 is the upper half of an f32. */
export type Precision = 'f32' | 'bf16';

/** Every choice made: what the job object shows once the data has been read. */
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
  /** 0: at the end of each epoch alone. */
  save_steps: number;
  precision: Precision;
  gradient_checkpointing: boolean;
}

const given = <T extends number | string>(value: T | 'auto' | undefined): T | undefined => (value === 'auto' ? undefined : value);

/**
 * Fills in what the user left to us.
 * @param facts.examples        training examples that remain after validation
 * @param facts.modelMaxLength  the model's own limit, tokens
 * @param facts.fastestPrecision of the machine that trains
 */
export function resolveHyperparameters(
  asked: Hyperparameters,
  facts: { examples: number; modelMaxLength: number; tuning: ResolvedTuning; fastestPrecision(): Precision },
): ResolvedHyperparameters {
  const base = baseLearningRate(facts.tuning.type);
  const batchSize = given(asked.batch_size) ?? Math.min(16, Math.max(1, Math.round(facts.examples / 50)));
  const stepsPerEpoch = Math.ceil(facts.examples / batchSize);
  // Small datasets need more passes: aim at 100 steps or more, within 3 to 10 epochs.
  const nEpochs = given(asked.n_epochs) ?? Math.min(10, Math.max(3, Math.ceil(100 / stepsPerEpoch)));
  const multiplier = given(asked.learning_rate_multiplier);
  const learningRate = given(asked.learning_rate) ?? base * (multiplier ?? 1);
  return {
    n_epochs: nEpochs,
    batch_size: batchSize,
    learning_rate_multiplier: multiplier ?? learningRate / base,
    learning_rate: learningRate,
    lr_scheduler_type: asked.lr_scheduler_type ?? 'linear',
    // A warm-up's first step has a learning rate of 0: one that is the whole run would train nothing.
    warmup_ratio: asked.warmup_ratio ?? (stepsPerEpoch * nEpochs === 1 ? 0 : 0.03),
    weight_decay: asked.weight_decay ?? 0,
    max_grad_norm: asked.max_grad_norm ?? 1,
    max_length: Math.min(given(asked.max_length) ?? facts.modelMaxLength, facts.modelMaxLength),
    truncation: asked.truncation ?? 'error',
    eval_steps: given(asked.eval_steps) ?? Math.max(1, Math.ceil((stepsPerEpoch * nEpochs) / 10)),
    save_steps: given(asked.save_steps) ?? 0,
    precision: given(asked.precision) ?? facts.fastestPrecision(),
    gradient_checkpointing: asked.gradient_checkpointing ?? false,
  };
}
