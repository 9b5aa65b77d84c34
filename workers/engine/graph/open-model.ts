/** Models opened for work. */
import type { ResolvedTuning } from '../../../src/formats/tuning.ts';
import { loadAdapter, readAdapterConfig } from '../io/adapter.ts';
import { openWeights, readModelConfig } from '../model/weights.ts';
import type { TunedModel } from '../tuning/tuned-model.ts';
import { CompiledModel, type CompileOptions } from './compiled-model.ts';

/**
 * A base model with a fresh adapter, or ready for full fine-tuning.
 * @throws InputError `unsupported_architecture`, `corrupt_model_file`, `unknown_target_module`
 */
export function openForTraining({
  modelDir,
  ...rest
}: {
  modelDir: string;
  tuning: ResolvedTuning;
  seed: number;
  weightDecay: number;
}): CompiledModel {
  const { tuning, seed, weightDecay } = rest;
  return open(modelDir, { tuning, seed, learning: { weightDecay } });
}

/**
 * A base model alone, or with a PEFT adapter.
 * @throws InputError also `unsupported_adapter`
 */
export function openForInference({ modelDir, adapterDir }: { modelDir: string; adapterDir?: string }): TunedModel {
  if (adapterDir === undefined) return open(modelDir, { tuning: null, seed: 0, learning: null });
  const model = open(modelDir, { tuning: readAdapterConfig(adapterDir), seed: 0, learning: null });
  try {
    loadAdapter(model, adapterDir);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model;
}

function open(modelDir: string, rest: Pick<CompileOptions, 'tuning' | 'seed' | 'learning'>): CompiledModel {
  const config = readModelConfig(modelDir);
  const weights = openWeights(modelDir, config);
  try {
    return new CompiledModel({ config, weightOf: weights.read, ...rest });
  } finally {
    weights.close();
  }
}
