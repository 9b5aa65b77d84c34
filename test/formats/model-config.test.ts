import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/formats/input-error.ts';
import { parseModelConfig } from '../../src/formats/model-config.ts';

const llama = {
  model_type: 'llama',
  hidden_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 96,
  vocab_size: 384,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
  eos_token_id: [2, 3],
};
const WHERE = 'models/x/config.json';

function refusal(change: Record<string, unknown>): InputError {
  try {
    parseModelConfig({ ...llama, ...change }, WHERE);
  } catch (error) {
    if (error instanceof InputError) return error;
  }
  throw new Error('not refused');
}

describe('parseModelConfig', () => {
  it('reads the form of transformers 4', () => {
    const config = parseModelConfig({ ...llama, rope_theta: 5e5, rope_scaling: null, torch_dtype: 'bfloat16', pretraining_tp: 1 }, WHERE);
    expect(config).toEqual({
      modelType: 'llama',
      hiddenSize: 64,
      layers: 2,
      heads: 4,
      kvHeads: 2,
      headSize: 16,
      intermediateSize: 96,
      vocabSize: 384,
      maxPositionTokens: 128,
      normEpsilon: 1e-5,
      ropeTheta: 5e5,
      ropeScaling: null,
      tiedHead: true,
      attentionBias: false,
      mlpBias: false,
      activation: 'silu',
      bosTokenId: null,
      eosTokenIds: [2, 3],
      padTokenId: null,
    });
  });

  it('reads the form of transformers 5', () => {
    const config = parseModelConfig({ ...llama, rope_parameters: { rope_theta: 1e6, rope_type: 'default' }, head_dim: 32, dtype: 'float32' }, WHERE);
    expect(config).toMatchObject({ ropeTheta: 1e6, ropeScaling: null, headSize: 32 });
  });

  it("reads Llama 3.1's stretched positions", () => {
    const rope_scaling = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
    expect(parseModelConfig({ ...llama, rope_theta: 5e5, rope_scaling }, WHERE).ropeScaling).toEqual({
      type: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositionTokens: 8192,
    });
  });

  it.each([
    ['model_type', { model_type: 'mamba' }],
    ['hidden_act', { hidden_act: 'gelu' }],
    ['pretraining_tp', { pretraining_tp: 2 }],
    ['rope_type', { rope_scaling: { rope_type: 'yarn', factor: 4 } }],
    ['quantization_config', { quantization_config: { bits: 4 } }],
  ])('refuses another %s, naming field and file', (field, change) => {
    const error = refusal(change);
    expect(error.code).toBe('unsupported_architecture');
    expect(error.message).toContain(field);
    expect(error.message).toContain(WHERE);
  });

  it('tells all impossible sizes at once', () => {
    const error = refusal({ hidden_size: undefined, vocab_size: -1, num_key_value_heads: 3 });
    expect(error.code).toBe('corrupt_model_file');
    for (const field of ['hidden_size', 'vocab_size', 'num_key_value_heads']) expect(error.message).toContain(field);
  });
});
