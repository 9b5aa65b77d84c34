import { describe, expect, it } from 'vitest';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { refusal } from '../refusal.ts';

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

const parse = (change: Record<string, unknown>) => parseModelConfig({ ...llama, ...change }, WHERE);

describe('parseModelConfig', () => {
  it('reads the format of transformers 4', () => {
    const config = parseModelConfig({ ...llama, rope_theta: 5e5, rope_scaling: null, torch_dtype: 'bfloat16', pretraining_tp: 1 }, WHERE);
    expect(config).toMatchObject({
      modelType: 'llama',
      hiddenSize: 64,
      layers: 2,
      heads: 4,
      kvHeads: 2,
      headSize: 16,
      intermediateSize: 96,
      vocabSize: 384,
      maxPositionTokens: 128,
      norm: { kind: 'rms', epsilon: 1e-5, offset: 0 },
      attention: { inputBias: false, outputBias: false, queryKeyNorm: null, scale: 0.25, softCap: null },
      mlp: { activation: 'silu', bias: false },
      tiedHead: true,
      inputFirst: false,
      bosTokenId: null,
      eosTokenIds: [2, 3],
      padTokenId: null,
    });
    expect(config.attention.layers).toEqual(new Array(2).fill({ windowTokens: null, rotary: { theta: 5e5, dimensions: 16, scaling: null } }));
  });

  it('reads the format of transformers 5', () => {
    const config = parseModelConfig({ ...llama, rope_parameters: { rope_theta: 1e6, rope_type: 'default' }, head_dim: 32, dtype: 'float32' }, WHERE);
    expect(config.headSize).toBe(32);
    expect(config.attention.layers[1]!.rotary).toEqual({ theta: 1e6, dimensions: 32, scaling: null });
  });

  it("reads Llama 3.1's scaled positions", () => {
    const rope_scaling = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
    const { layers } = parseModelConfig({ ...llama, rope_theta: 5e5, rope_scaling }, WHERE).attention;
    expect(layers[0]!.rotary!.scaling).toEqual({
      type: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositionTokens: 8192,
    });
  });

  it.each([
    ['model_type', { model_type: 'mamba' }],
    ['hidden_act', { hidden_act: 'relu' }],
    ['per_layer_config', { per_layer_config: { '0': { rms_norm_eps: 0.1 } } }],
    ['rope_type', { rope_scaling: { rope_type: 'proportional', factor: 4 } }],
    ['rope_scaling.mrope_section', { rope_scaling: { rope_type: 'default', mrope_section: [16, 24, 24] } }],
    ['attn_logit_softcapping', { attn_logit_softcapping: 50 }],
    ['sliding_window', { sliding_window: 4096 }],
    ['quantization_config', { quantization_config: { bits: 4 } }],
  ])('refuses an unsupported %s, naming the field and the file', (field, change) => {
    const error = refusal(() => parse(change));
    expect(error.code).toBe('unsupported_architecture');
    expect(error.message).toContain(field);
    expect(error.message).toContain(WHERE);
  });

  it('lists the dropout that the file requests, which is not applied', () => {
    expect(parseModelConfig({ ...llama, attention_dropout: 0 }, WHERE).dropout).toEqual([]);
    expect(parseModelConfig({ ...llama, attention_dropout: 0.1 }, WHERE).dropout).toEqual(['attention_dropout 0.1']);
  });

  it('lists the fields that transformers ignores in the family, which are not applied', () => {
    const gemma3 = { ...llama, model_type: 'gemma3_text', head_dim: 16, attn_logit_softcapping: 50, partial_rotary_factor: 0.5 };
    const config = parseModelConfig(gemma3, WHERE);
    expect(config.ignored.sort()).toEqual(['attn_logit_softcapping 50', 'partial_rotary_factor 0.5']);
    expect(config.attention.softCap).toBeNull();
    expect(config.attention.layers[0]!.rotary!.dimensions).toBe(16);
    expect(parseModelConfig({ ...llama, partial_rotary_factor: 1 }, WHERE).ignored).toEqual([]);
  });

  it('reports all invalid sizes at once', () => {
    const error = refusal(() => parse({ hidden_size: undefined, vocab_size: -1, num_key_value_heads: 3 }));
    expect(error.code).toBe('corrupt_model_file');
    for (const field of ['hidden_size', 'vocab_size', 'num_key_value_heads']) expect(error.message).toContain(field);
  });
});
