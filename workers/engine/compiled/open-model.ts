/** Opens models for training and for inference. */

import type { Precision } from '../../../src/formats/hyperparameters.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import { openWeights, readModelConfig } from '../model/weights.ts';
import type { Objective } from '../objectives/objective.ts';
import { supervised } from '../objectives/supervised.ts';
import { readAdapterTuning, withAdapter } from '../tuning/methods.ts';
import { CompiledModel, type CompileOptions } from './compiled-model.ts';

interface TrainingChoices {
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
  /** Precision of products and of frozen matrices; default f32. */
  precision?: Precision;
  /** Less memory, more arithmetic; default false. */
  gradientCheckpointing?: boolean;
  /** NEFTune's α; default: no noise. */
  noiseAlpha?: number | undefined;
  /** Called when the graph is recorded, before the weights are read. */
  recorded?: () => void;
}

interface InferenceChoices {
  modelDir: string;
  adapterDir?: string;
  /** Default: supervised. */
  objective?: Objective;
  /** Precision of products; default f32. */
  precision?: Precision;
  /** Precision in which matrices are held; default f32. */
  heldIn?: Precision;
  /** Of a model that a run delivered: what the run trained is held in f32 in any case, as it was then. */
  trainedWith?: ResolvedTuning;
}

/**
 * A base model with a fresh adapter, or ready for full fine-tuning.
 * @throws Refusal `unsupported_architecture`, `corrupt_model_file`, `unknown_target_module`
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
    precision = 'f32',
    gradientCheckpointing = false,
    noiseAlpha,
    recorded,
  } = choices;
  const learning = { weightDecay, gradientCheckpointing, noiseAlpha };
  return open(modelDir, { tuning, objective, seed, initialTokens, continuesAdapter, precision, heldIn: precision, learning }, recorded);
}

/**
 * A base model alone, or with a PEFT adapter.
 * @throws Refusal `unsupported_adapter`, and those of `openForTraining`
 */
export function openForInference(choices: InferenceChoices): CompiledModel {
  const { modelDir, adapterDir, objective = supervised, precision = 'f32', heldIn = 'f32', trainedWith } = choices;
  const shared = { objective, seed: 0, precision, heldIn, learning: null } as const;
  if (adapterDir === undefined) return open(modelDir, { ...shared, tuning: trainedWith ?? null });
  const tuning = readAdapterTuning(adapterDir);
  return withAdapter(open(modelDir, { ...shared, tuning }), tuning, adapterDir);
}

function open(modelDir: string, rest: Omit<CompileOptions, 'config' | 'readWeight'>, recorded?: () => void): CompiledModel {
  const weights = openWeights(modelDir, readModelConfig(modelDir));
  let reading = false;
  const readWeight: CompileOptions['readWeight'] = (name, held) => {
    if (!reading) recorded?.();
    reading = true;
    weights.readInto(name, held);
  };
  try {
    return new CompiledModel({ config: weights.config, readWeight, ...rest });
  } finally {
    weights.close();
  }
}
