/** Opens models for training and for inference. */

import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { requireMemory } from '../../../src/formats/memory-needed.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { Optim } from '../../../src/formats/optimizer.ts';
import type { Quantization } from '../../../src/formats/quantization.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import { storedDtypeOf } from '../io/model-directory.ts';
import { freeMemory } from '../machine/free-memory.ts';
import { productsIn } from '../machine/precision.ts';
import { openWeights, readModelConfig, type StoredWeights } from '../model/weights.ts';
import type { Objective } from '../objectives/objective.ts';
import { supervised } from '../objectives/supervised.ts';
import { backend } from '../tensorflow/backend.ts';
import { readAdapterTuning, withAdapter } from '../tuning/methods.ts';
import type { LearningModel } from '../tuning/tuned-model.ts';
import { CompiledModel, type CompileOptions } from './compiled-model.ts';
import type { HeldIn } from './recorded-slabs.ts';
import { Member } from './together/member.ts';
import type { Pace } from './together/pace.ts';
import type { MemberChoices } from './together/recorded-members.ts';
import { SharedBase } from './together/shared-base.ts';

export interface TrainingChoices {
  modelDir: string;
  tuning: ResolvedTuning;
  /** Default: supervised. */
  objective?: Objective;
  seed: number;
  /** Tokens of the method's `initialText`; default: none, for a model whose values are set afterwards. */
  initialTokens?: Int32Array | undefined;
  /** Whether the values of an adapter are loaded before training; default false. */
  continuesAdapter?: boolean;
  weightDecay: number;
  /** Default: AdamW with moments in f32. */
  optim?: Optim | undefined;
  /** Whether a step of one pass is taken within its backward pass; default false. */
  optimizerInBackward?: boolean | undefined;
  /** Precision of products, and of frozen matrices unless the checkpoint has them in bf16 anyway; default f32. */
  precision?: Precision;
  /** Default: what this machine computes them in where that precision is asked for. */
  products?: Precision;
  /** How frozen matrices of linear layers are held instead; default null: they are not quantised. */
  quantization?: Quantization | null | undefined;
  /** Less memory, more arithmetic; default false. */
  gradientCheckpointing?: boolean;
  /** NEFTune's α; default: no noise. */
  noiseAlpha?: number | undefined;
  /** Whether it is to continue texts while it is trained; default false. */
  answers?: boolean;
  /** Called when the graph is recorded, before the weights are read. */
  recorded?: () => void;
  /** Called when it is known whether it pays to share passes with the runs on the same base. */
  paced?: (pace: Pace) => void;
}

interface InferenceChoices {
  modelDir: string;
  adapterDir?: string;
  /** Default: supervised. */
  objective?: Objective;
  /** As it is in training. */
  precision?: Precision;
  /** How frozen matrices of linear layers are held instead; default null: they are not quantised. */
  quantization?: Quantization | null | undefined;
  /** Of a model that a run delivered: what the run trained is held in f32 in any case, as it was then. */
  trainedWith?: ResolvedTuning;
}

/**
 * A base model with a fresh adapter, or ready for full fine-tuning.
 * @throws Refusal `unsupported_architecture`, `corrupt_model_file`, `unknown_target_module`, `unsupported_optimizer`; `out_of_memory` before anything is
 *   read
 */
export function openForTraining(choices: TrainingChoices): CompiledModel {
  const {
    modelDir,
    tuning,
    objective = supervised,
    seed,
    initialTokens,
    continuesAdapter = false,
    weightDecay,
    optim = 'adamw_torch',
    optimizerInBackward = false,
    precision = 'f32',
    products = productsIn(precision),
    quantization = null,
    gradientCheckpointing = false,
    noiseAlpha,
    answers = false,
    recorded,
  } = choices;
  checkOptimizer(choices);
  const config = readModelConfig(modelDir);
  checkBalance(config, objective);
  const run = {
    config,
    tuning,
    precision,
    storedInBf16: storedDtypeOf(modelDir) === 'BF16',
    optim,
    quantization: quantization ?? undefined,
    gradientsPass: optimizerInBackward,
    gradientCheckpointing,
  };
  if (!backend.isUsingGpuDevice) requireMemory(run, freeMemory());
  const learning = { weightDecay, optim, optimizerInBackward, gradientCheckpointing, noiseAlpha };
  const rest = { tuning, objective, seed, initialTokens, continuesAdapter, precision: products, quantization, answers, learning };
  return open(modelDir, rest, { precision, recorded });
}

/**
 * Fresh adapters of several runs on one base, which they share.
 * @param choices of each run; equal but for tuning, seed and weight decay
 * @param options.measures whether they share passes only while measuring says that it pays
 * @throws as `openForTraining`
 */
export function openTogether(
  choices: readonly [TrainingChoices, ...TrainingChoices[]],
  { members, measures }: { members: readonly MemberChoices[]; measures: boolean },
): LearningModel[] {
  const [{ modelDir, objective = supervised, precision = 'f32', quantization = null, gradientCheckpointing = false }] = choices;
  for (const run of choices) checkOptimizer(run);
  const recorded = () => {
    for (const run of choices) run.recorded?.();
  };
  const paced = (pace: Pace) => {
    for (const run of choices) run.paced?.(pace);
  };
  const products = productsIn(precision);
  const shared = { objective, members, precision: products, quantization, gradientCheckpointing, ...(measures && { paced }) };
  const base = withWeights(modelDir, { precision, products, recorded }, (weights) => new SharedBase({ ...weights, ...shared }));
  return members.map(({ tuning }, number) => new Member(base, number, tuning));
}

/** @throws Refusal `unsupported_objective` */
function checkBalance({ experts }: ModelConfig, { name }: Objective): void {
  if (experts?.balance === undefined || name === supervised.name) return;
  throw new Refusal('unsupported_objective', `config.json has output_router_logits, whose loss is added to a supervised loss only, not to ${name}`, {
    param: 'model',
    hint: 'Set output_router_logits to false in config.json.',
  });
}

/** @throws Refusal `unsupported_optimizer` */
function checkOptimizer({ optim }: Pick<TrainingChoices, 'optim'>): void {
  if (optim !== 'adamw_8bit' || !backend.isUsingGpuDevice) return;
  throw new Refusal('unsupported_optimizer', 'optim "adamw_8bit" runs on a CPU only, and this job runs on a GPU', {
    param: 'hyperparameters.optim',
    hint: 'Leave it out: the moments are then held in f32.',
  });
}

/**
 * A base model alone, or with a PEFT adapter.
 * @throws Refusal `unsupported_adapter`, and those of `openForTraining`
 */
export function openForInference(choices: InferenceChoices): CompiledModel {
  const { modelDir, adapterDir, objective = supervised, precision = 'f32', quantization = null, trainedWith } = choices;
  const shared = { objective, seed: 0, precision: productsIn(precision), quantization, learning: null } as const;
  if (adapterDir === undefined) return open(modelDir, { ...shared, tuning: trainedWith ?? null }, { precision });
  const tuning = readAdapterTuning(adapterDir);
  return withAdapter(open(modelDir, { ...shared, tuning }, { precision }), tuning, adapterDir);
}

type OfWeights = 'config' | 'readWeight' | 'heldIn';

interface OpenOptions {
  /** The one that was asked for. */
  precision: Precision;
  /** Called before the first weight is read. */
  recorded?: (() => void) | undefined;
}

const open = (modelDir: string, rest: Omit<CompileOptions, OfWeights>, options: OpenOptions): CompiledModel =>
  withWeights(modelDir, { ...options, products: rest.precision }, (weights) => new CompiledModel({ ...weights, ...rest }));

function withWeights<T>(
  modelDir: string,
  { precision, products, recorded }: OpenOptions & { products: Precision },
  create: (weights: Pick<CompileOptions, OfWeights>) => T,
): T {
  const weights = openWeights(modelDir, readModelConfig(modelDir));
  let reading = false;
  const readWeight: CompileOptions['readWeight'] = (name, { held, first }) => {
    if (!reading) recorded?.();
    reading = true;
    weights.readInto(name, held, first);
  };
  try {
    return create({ config: weights.config, readWeight, heldIn: heldIn(weights, { precision, products }) });
  } finally {
    weights.close();
  }
}

/**
 * How frozen weights are held. Matrices that the checkpoint has in bf16 are the same numbers in f32, and products of f32 widen them
 * (recording/held-products.ts).
 * @param options.precision the one that was asked for
 */
export function heldIn(
  { isBfloat16 }: Pick<StoredWeights, 'isBfloat16'>,
  { precision, products }: { precision: Precision; products: Precision },
): HeldIn {
  if (products === 'bf16') return () => 'bf16';
  if (backend.isUsingGpuDevice) return () => 'f32';
  return (name) => (precision === 'bf16' || isBfloat16(name) ? 'bf16' : 'f32');
}
