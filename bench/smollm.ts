/** The shape on which Graft and its peers are measured, SmolLM2-135M's, with random weights. */
import { parseModelConfig } from '../src/formats/parse-model-config.ts';
import { weightShapes } from '../workers/engine/model/module-shapes.ts';

export const SMOLLM2_135M = {
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

/** @param shape fields of config.json that differ */
export function randomModel(shape: Partial<typeof SMOLLM2_135M> = {}) {
  const config = parseModelConfig({ ...SMOLLM2_135M, ...shape }, 'the shape');
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
