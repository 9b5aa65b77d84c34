import { type Static, Type } from 'typebox';
import { type BadStepFields, badStepFields } from './bad-steps.ts';
import { type BestModelFields, bestModelFields } from './best-model.ts';
import { defined } from './defined.ts';
import { FINDER_STEPS } from './learning-rate-finder.ts';
import { type ObjectiveName, objectiveFormat } from './objectives/objectives.ts';
import { type OptimizerFields, optimizerFields } from './optimizer.ts';
import { explicit, orAuto } from './or-auto.ts';
import { type Quantization, QuantizationField } from './quantization.ts';
import { SchedulerKwargs, SchedulerType } from './schedule.ts';
import { baseLearningRate, type ResolvedTuning, TUNING_TYPES, virtualTokens } from './tuning/tuning.ts';

/** How many checkpoints a job keeps by default: those of as many epochs as `n_epochs: "auto"` trains at most. */
const AUTO_SAVE_TOTAL_LIMIT = 10;

/** Reaches the largest learning rate from the base of every method. */
const MAX_MULTIPLIER = Math.round(1 / Math.min(...TUNING_TYPES.map(baseLearningRate)));
/** As many passes as OpenAI allows. */
export const MAX_EPOCHS = 50;
/** Far beyond any model's own limit, which applies as well. */
const MAX_LENGTH_TOKENS = 2 ** 24;

/** Far beyond the paper's 15: noise as large as the embeddings themselves. */
const MAX_NOISE_ALPHA = 1000;

/** OpenAI's three, and the names of Hugging Face's `TrainingArguments` / `SFTConfig` for the rest. */
export const Hyperparameters = Type.Object(
  {
    n_epochs: orAuto(Type.Integer({ minimum: 1, maximum: MAX_EPOCHS }), 'Passes over the training file.'),
    max_steps: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000_000, description: 'Optimizer steps of the job, instead of n_epochs: as many passes as they take.' }),
    ),
    batch_size: orAuto(Type.Integer({ minimum: 1, maximum: 256 }), 'Examples per optimizer step.'),
    learning_rate_multiplier: orAuto(
      Type.Number({ exclusiveMinimum: 0, maximum: MAX_MULTIPLIER }),
      `Multiplies the method's base learning rate (${TUNING_TYPES.map((type) => `${type} ${baseLearningRate(type)}`).join(', ')}); together with learning_rate only if both say the same.`,
    ),
    learning_rate: orAuto(Type.Number({ exclusiveMinimum: 0, maximum: 1 }), 'Peak learning rate of AdamW.'),
    lr_scheduler_type: Type.Optional(SchedulerType),
    lr_scheduler_kwargs: Type.Optional(SchedulerKwargs),
    warmup_ratio: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, default: 0.03, description: 'Share of all steps spent warming up; by default 0 for a single step.' }),
    ),
    warmup_steps: Type.Optional(
      Type.Number({ minimum: 0, description: 'Instead of warmup_ratio: steps spent warming up; below 1, their share of all steps.' }),
    ),
    weight_decay: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        default: 0,
        description: "Decay of matrices, as in transformers' Trainer: norms and biases do not decay.",
      }),
    ),
    max_grad_norm: Type.Optional(Type.Number({ minimum: 0, default: 1, description: 'Global gradient-norm clip; 0 turns it off.' })),
    max_length: orAuto(Type.Integer({ minimum: 8, maximum: MAX_LENGTH_TOKENS }), "Longest example in tokens; auto is the model's own limit."),
    truncation: Type.Optional(
      Type.Union([Type.Literal('error'), Type.Literal('right'), Type.Literal('left'), Type.Literal('drop')], {
        default: 'error',
        description: 'What happens to an example longer than max_length; with error, a plain text is cut into pieces instead.',
      }),
    ),
    incomplete_turns: Type.Optional(
      Type.Union([Type.Literal('error'), Type.Literal('drop')], {
        default: 'error',
        description:
          "What happens to an example with a turn to learn of which the model's chat template leaves out a part: a tool call, reasoning, content.",
      }),
    ),
    multi_turn: Type.Optional(
      Type.Union([Type.Literal('whole'), Type.Literal('split')], {
        default: 'whole',
        description:
          'whole: a conversation is one example, in which a turn that the chat template renders differently later has a text of its own; split: each turn to learn is an example, with what comes before it.',
      }),
    ),
    eval_steps: orAuto(Type.Integer({ minimum: 1 }), 'Optimizer steps between validation batches; auto: ten times per job.'),
    save_steps: orAuto(Type.Integer({ minimum: 0 }), 'Optimizer steps between checkpoints; auto and 0: only at the end of each epoch.'),
    save_total_limit: orAuto(
      // One beside the newest, so that a damaged one does not cost the whole run.
      Type.Integer({ minimum: 2, maximum: 1000 }),
      `Checkpoints to keep: the newest, the best on the validation file, then those of epochs' ends; auto: ${AUTO_SAVE_TOTAL_LIMIT}.`,
    ),
    precision: Type.Optional(
      Type.Union([Type.Literal('f32'), Type.Literal('bf16'), Type.Literal('auto')], {
        default: 'auto',
        description:
          'Precision of matrix products; bf16 also stores the frozen base in it. auto chooses bf16 if the machine is clearly faster with it.',
      }),
    ),
    quantization: QuantizationField,
    gradient_checkpointing: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Recomputes each block in the backward pass instead of keeping it: less memory, a third more arithmetic.',
      }),
    ),
    learning_rate_finder: Type.Optional(
      Type.Boolean({
        default: false,
        description: `Only with dry_run: takes up to ${FINDER_STEPS} further steps at growing learning rates and suggests one, as fastai's lr_find does.`,
      }),
    ),
    neftune_noise_alpha: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: MAX_NOISE_ALPHA,
        description: 'Adds noise to the embeddings of each training step, up to alpha / √(tokens · hidden size) (NEFTune); the paper uses 5 to 15.',
      }),
    ),
    ...optimizerFields,
    ...bestModelFields,
    ...badStepFields,
  },
  { additionalProperties: false, title: 'Hyperparameters' },
);
export type Hyperparameters = Static<typeof Hyperparameters>;

/** Precision of matrix products: bf16 is the upper half of an f32. */
export type Precision = 'f32' | 'bf16';

/** With every choice resolved: what the job object shows once the data has been read. */
export interface ResolvedHyperparameters extends OptimizerFields, BestModelFields, BadStepFields {
  n_epochs: number;
  /** Only where it was asked for, like every field of `onlyAsked`. */
  max_steps?: number;
  batch_size: number;
  learning_rate_multiplier: number;
  learning_rate: number;
  lr_scheduler_type: SchedulerType;
  lr_scheduler_kwargs?: SchedulerKwargs;
  /** Not used where `warmup_steps` is given. */
  warmup_ratio: number;
  /** Only where it was asked for. */
  warmup_steps?: number;
  weight_decay: number;
  max_grad_norm: number;
  max_length: number;
  truncation: 'error' | 'right' | 'left' | 'drop';
  incomplete_turns: 'error' | 'drop';
  multi_turn?: 'whole' | 'split';
  eval_steps: number;
  /** 0: only at the end of each epoch. */
  save_steps: number;
  precision: Precision;
  quantization?: Quantization;
  gradient_checkpointing: boolean;
  neftune_noise_alpha?: number;
  learning_rate_finder?: boolean;
}

export const saveTotalLimit = ({ save_total_limit: limit }: Hyperparameters): number => explicit(limit) ?? AUTO_SAVE_TOTAL_LIMIT;

type Length = Pick<ResolvedHyperparameters, 'n_epochs' | 'batch_size' | 'max_steps'>;

/** @param examples of the training file, as they are trained on */
export function stepsOf(
  { n_epochs: epochs, batch_size: batchSize, max_steps: maxSteps }: Length,
  examples: number,
): { perEpoch: number; total: number } {
  const perEpoch = Math.ceil(examples / batchSize);
  return { perEpoch, total: maxSteps ?? perEpoch * epochs };
}

/** Warm-up steps as transformers' Trainer counts them. */
export function warmupSteps({ warmup_ratio: ratio, warmup_steps: steps }: ResolvedHyperparameters, totalSteps: number): number {
  const wanted = steps ?? ratio;
  return steps !== undefined && steps >= 1 ? Math.trunc(steps) : Math.ceil(totalSteps * wanted);
}

/**
 * Fills in what the user left open.
 * @param facts.examples        training examples that remain after validation
 * @param facts.modelMaxLength  the model's own limit, tokens
 * @param facts.fastestPrecision the machine's fastest precision; called only for `auto`
 */
export function resolveHyperparameters(
  requested: Hyperparameters,
  facts: { examples: number; modelMaxLength: number; tuning: ResolvedTuning; objective?: ObjectiveName; fastestPrecision(): Precision },
): ResolvedHyperparameters {
  const { tuning, objective = 'supervised' } = facts;
  const format = objectiveFormat(objective);
  const base = rateOfMultiplier(tuning, objective);
  const longest = facts.modelMaxLength - virtualTokens(tuning);
  const batchSize = explicit(requested.batch_size) ?? Math.min(16, Math.max(format.minBatchSize ?? 1, Math.round(facts.examples / 50)));
  const stepsPerEpoch = Math.ceil(facts.examples / batchSize);
  const { max_steps: maxSteps } = requested;
  const epochsOfMaxSteps = maxSteps && Math.ceil(maxSteps / stepsPerEpoch);
  // Small datasets need more passes: aim at 100 steps or more, within 3 to 10 epochs.
  const nEpochs = epochsOfMaxSteps ?? explicit(requested.n_epochs) ?? Math.min(10, Math.max(3, Math.ceil(100 / stepsPerEpoch)));
  const totalSteps = maxSteps ?? stepsPerEpoch * nEpochs;
  const multiplier = explicit(requested.learning_rate_multiplier);
  const learningRate = explicit(requested.learning_rate) ?? base * (multiplier ?? 1);
  const schedule = requested.lr_scheduler_type ?? 'linear';
  // The first step of a warm-up has a learning rate of 0: in a run of one step it would train nothing.
  const noWarmup = schedule === 'constant' || totalSteps === 1;
  return {
    n_epochs: nEpochs,
    batch_size: batchSize,
    learning_rate_multiplier: multiplier ?? learningRate / base,
    learning_rate: learningRate,
    lr_scheduler_type: schedule,
    warmup_ratio: requested.warmup_ratio ?? (noWarmup ? 0 : 0.03),
    ...(requested.warmup_steps !== undefined && { warmup_steps: requested.warmup_steps }),
    weight_decay: requested.weight_decay ?? 0,
    max_grad_norm: requested.max_grad_norm ?? 1,
    max_length: Math.min(explicit(requested.max_length) ?? longest, longest),
    truncation: requested.truncation ?? 'error',
    incomplete_turns: requested.incomplete_turns ?? 'error',
    eval_steps: explicit(requested.eval_steps) ?? Math.max(1, Math.ceil(totalSteps / 10)),
    save_steps: explicit(requested.save_steps) ?? 0,
    precision: explicit(requested.precision) ?? facts.fastestPrecision(),
    ...(requested.quantization != null && { quantization: requested.quantization }),
    gradient_checkpointing: requested.gradient_checkpointing ?? false,
    ...onlyAsked(requested),
    ...format.resolve(requested),
  };
}

/** What is in the resolved choices only where it was asked for, so that a checkpoint of an older version is one of the same run. */
function onlyAsked(requested: Hyperparameters): Partial<ResolvedHyperparameters> {
  const names = [
    'max_steps',
    'lr_scheduler_kwargs',
    'multi_turn',
    'neftune_noise_alpha',
    'learning_rate_finder',
    ...Object.keys(optimizerFields),
    ...Object.keys(bestModelFields),
    ...Object.keys(badStepFields),
  ] as (keyof Hyperparameters)[];
  return defined(Object.fromEntries(names.map((name) => [name, requested[name]])));
}

/** @returns the peak learning rate for a multiplier of 1 */
export const rateOfMultiplier = (tuning: ResolvedTuning, objective: ObjectiveName): number =>
  baseLearningRate(tuning.type) * objectiveFormat(objective).learningRateScale;
