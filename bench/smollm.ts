/** The model on which Graft and its peers are measured, of SmolLM2-135M's shape with random weights unless another is asked for. */
import type { Precision } from '../src/formats/hyperparameters.ts';
import { parseModelConfig } from '../src/formats/parse-model-config.ts';
import { CompiledModel, type CompileOptions } from '../workers/engine/graph/compiled-model.ts';
import { weightShapes } from '../workers/engine/model/module-shapes.ts';
import { openWeights, readModelConfig } from '../workers/engine/model/weights.ts';

const SMOLLM2_135M = {
  model_type: 'llama',
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49152,
  max_position_embeddings: 2048,
  tie_word_embeddings: true,
  rms_norm_eps: 1e-6,
};

function randomModel() {
  const config = parseModelConfig(SMOLLM2_135M, 'SmolLM2-135M');
  const shapes = weightShapes(config);
  /** Norms' are ones, all others small. */
  const weightOf = (name: string): Float32Array => {
    const size = shapes.get(name)!.reduce((product, length) => product * length, 1);
    const values = new Float32Array(size);
    if (shapes.get(name)!.length === 1) return values.fill(1);
    let state = size >>> 0;
    for (let i = 0; i < size; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator: quick, and good enough to be multiplied
      values[i] = (state / 2 ** 31 - 1) * 0.035;
    }
    return values;
  };
  return { config, weightOf };
}

/** @throws Error when it is neither */
export function precisionOf(asked: string): Precision {
  if (asked !== 'f32' && asked !== 'bf16') throw new Error(`--precision is "${asked}"; it takes f32 or bf16`);
  return asked;
}

/** @param modelDir of a Hugging Face model */
export function openBenchModel(modelDir: string | undefined, options: Pick<CompileOptions, 'tuning' | 'precision' | 'learning'>): CompiledModel {
  const common = { ...options, heldIn: options.precision, seed: 0 };
  if (modelDir === undefined) return new CompiledModel({ ...common, ...randomModel() });
  const config = readModelConfig(modelDir);
  const stored = openWeights(modelDir, config);
  try {
    return new CompiledModel({ ...common, config, weightOf: stored.read });
  } finally {
    stored.close();
  }
}
