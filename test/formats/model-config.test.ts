import { describe, expect, it } from 'vitest';
import { softmaxLayers } from '../../src/formats/mixers.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { resolveTuning, trainedShapes } from '../../src/formats/tuning/tuning.ts';
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

/** What the configuration of gpt-oss in transformers 5.23 has for fields that a file leaves out. */
const GPT_OSS_DEFAULTS = {
  ...{ num_local_experts: 128, num_experts_per_tok: 4, sliding_window: 128, swiglu_alpha: 1.702, swiglu_limit: 7.0, hidden_act: 'silu' },
  ...{ attention_bias: true, head_dim: 64, layer_types: ['sliding_attention', 'full_attention'] },
  rope_parameters: {
    ...{ rope_type: 'yarn', rope_theta: 150_000, factor: 32.0, beta_fast: 32.0, beta_slow: 1.0, truncate: false },
    original_max_position_embeddings: 4096,
  },
};

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
      attention: { inputBias: false, outputBias: false, queryKeyNorm: null, scale: 0.25, softCap: null, outputGate: false },
      mlp: { activation: 'silu', bias: false },
      tiedHead: true,
      inputFirst: false,
      bosTokenId: null,
      eosTokenIds: [2, 3],
      padTokenId: null,
    });
    expect(config.mixers).toEqual(
      new Array(2).fill({ kind: 'attention', windowTokens: null, rotary: { theta: 5e5, dimensions: 16, scaling: null } }),
    );
  });

  it('reads the format of transformers 5', () => {
    const config = parseModelConfig({ ...llama, rope_parameters: { rope_theta: 1e6, rope_type: 'default' }, head_dim: 32, dtype: 'float32' }, WHERE);
    expect(config.headSize).toBe(32);
    expect(softmaxLayers(config)[1]!.rotary).toEqual({ theta: 1e6, dimensions: 32, scaling: null });
  });

  it("reads Llama 3.1's scaled positions", () => {
    const rope_scaling = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
    const layers = softmaxLayers(parseModelConfig({ ...llama, rope_theta: 5e5, rope_scaling }, WHERE));
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
    ['rope_type', { rope_scaling: { rope_type: 'axial', factor: 4 } }],
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
    expect(softmaxLayers(config)[0]!.rotary!.dimensions).toBe(16);
    expect(parseModelConfig({ ...llama, partial_rotary_factor: 1 }, WHERE).ignored).toEqual([]);
  });

  it('reports all invalid sizes at once', () => {
    const error = refusal(() => parse({ hidden_size: undefined, vocab_size: -1, num_key_value_heads: 3 }));
    expect(error.code).toBe('corrupt_model_file');
    for (const field of ['hidden_size', 'vocab_size', 'num_key_value_heads']) expect(error.message).toContain(field);
  });
});

describe('parseModelConfig › of newer families', () => {
  const qwen35 = { ...llama, model_type: 'qwen3_5_text', num_hidden_layers: 8, linear_num_key_heads: 2, linear_num_value_heads: 4 };

  it('of Qwen 3.5 without layer_types › has softmax attention in every fourth layer, and delta nets in all others', () => {
    const kinds = parseModelConfig(qwen35, WHERE).mixers.map(({ kind }) => kind);
    expect(kinds.flatMap((kind, layer) => (kind === 'attention' ? [layer] : []))).toEqual([3, 7]);
    const [first] = parseModelConfig({ ...qwen35, full_attention_interval: 2 }, WHERE).mixers;
    expect(first).toEqual({ kind: 'delta_net', keyHeads: 2, valueHeads: 4, keySize: 128, valueSize: 128, convolutionTokens: 4 });
  });

  it.each([
    ['a kind of layer that it does not have', { layer_types: Array(8).fill('sliding_attention') }, /layer_types has "sliding_attention"/],
    ['another activation, which its convolutions would have too', { hidden_act: 'gelu' }, /hidden_act is "gelu"/],
    [
      'value heads that key heads cannot share',
      { linear_num_value_heads: 3 },
      /linear_num_value_heads \(3\) is not a multiple of linear_num_key_heads \(2\)/,
    ],
    ['a convolution without end', { linear_conv_kernel_dim: 1e6 }, /linear_conv_kernel_dim is 1000000/],
    ['too few kinds', { layer_types: ['full_attention'] }, /layer_types is \["full_attention"\], not a list of 8/],
  ])('of Qwen 3.5 with %s › is refused by name', (_, change, message) => {
    expect(refusal(() => parseModelConfig({ ...qwen35, ...change }, WHERE)).message).toMatch(message);
  });

  it.each([
    [
      'OLMo 3 without layer_types › has windows in all but every fourth layer',
      { model_type: 'olmo3', num_hidden_layers: 4 },
      [4096, 4096, 4096, null],
    ],
    ['Ministral without layer_types › has a window in every layer', { model_type: 'ministral', sliding_window: 64 }, [64, 64]],
    ['Ministral without a window › has none', { model_type: 'ministral', sliding_window: null }, [null, null]],
  ])('of %s', (_, change, windows) => {
    expect(softmaxLayers(parseModelConfig({ ...llama, ...change }, WHERE)).map(({ windowTokens }) => windowTokens)).toEqual(windows);
  });

  it("of Ministral 3 without rope_parameters › has transformers' YaRN, and queries that grow after 16,384 tokens", () => {
    const [layer] = softmaxLayers(parseModelConfig({ ...llama, model_type: 'ministral3' }, WHERE));
    expect(layer!.rotary).toMatchObject({
      theta: 1e6,
      scaling: { type: 'yarn', factor: 16, originalMaxPositionTokens: 16_384, attentionFactor: 1 },
      queryScale: { beta: 0.1, originalMaxPositionTokens: 16_384 },
    });
  });

  const gptOss = { ...llama, model_type: 'gpt_oss', tie_word_embeddings: false };

  it('of gpt-oss as it is published › has its packed experts, sinks, windows and positions', () => {
    const rope_scaling = {
      beta_fast: 32.0,
      beta_slow: 1.0,
      factor: 32.0,
      original_max_position_embeddings: 4096,
      rope_type: 'yarn',
      truncate: false,
    };
    const published = {
      ...{ attention_bias: true, attention_dropout: 0.0, eos_token_id: 200_002, experts_per_token: 4, head_dim: 64, hidden_act: 'silu' },
      ...{ hidden_size: 2880, initial_context_length: 4096, intermediate_size: 2880, max_position_embeddings: 131_072, num_attention_heads: 64 },
      ...{ num_experts_per_tok: 4, num_hidden_layers: 24, num_key_value_heads: 8, num_local_experts: 32, output_router_logits: false },
      ...{ pad_token_id: 199_999, rope_scaling, rope_theta: 150_000, router_aux_loss_coef: 0.9, sliding_window: 128, swiglu_limit: 7.0 },
      ...{ layer_types: Array.from({ length: 24 }, (_, layer) => (layer % 2 === 0 ? 'sliding_attention' : 'full_attention')), vocab_size: 201_088 },
      quantization_config: { modules_to_not_convert: ['model.layers.*.self_attn', 'lm_head'], quant_method: 'mxfp4' },
    };
    const config = parseModelConfig({ ...gptOss, ...published }, WHERE);
    expect(config).toMatchObject({
      packed: 'mxfp4',
      attention: { inputBias: true, outputBias: true },
      experts: { count: 32, perToken: 4, intermediateSize: 2880, clamped: { alpha: 1.702, limit: 7 } },
      names: { attention: { sinks: 'self_attn.sinks' } },
    });
    expect(softmaxLayers(config).map(({ windowTokens }) => windowTokens)).toEqual(Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? 128 : null)));
    expect(softmaxLayers(config)[0]!.rotary).toMatchObject({ theta: 150_000, scaling: { type: 'yarn', factor: 32, truncate: false } });
  });

  it("of gpt-oss without the fields that transformers has defaults for › has transformers'", () => {
    const [config, published] = [gptOss, { ...gptOss, ...GPT_OSS_DEFAULTS }].map((json) => parseModelConfig(json, WHERE));
    expect(config).toEqual(published);
  });

  it.each([
    ['matrices packed in another way', { quantization_config: { quant_method: 'fp8' } }, /quantization_config.quant_method is "fp8", not "mxfp4"/],
    ['another activation', { hidden_act: 'gelu' }, /hidden_act is "gelu"/],
    ['more experts for a token than there are', { num_local_experts: 2 }, /num_experts_per_tok \(4\) is more than the 2 experts/],
  ])('of gpt-oss with %s › is refused by name', (_, change, message) => {
    expect(refusal(() => parseModelConfig({ ...gptOss, ...change }, WHERE)).message).toMatch(message);
  });

  it('of gpt-oss with BitFit › trains the biases of experts and routers too, and no sinks', () => {
    const trained = [...trainedShapes(parseModelConfig(gptOss, WHERE), resolveTuning({ type: 'bitfit' })).keys()];
    const ofBlock = [
      'mlp.experts.down_proj_bias',
      'mlp.experts.gate_up_proj_bias',
      'mlp.router.bias',
      ...['k', 'o', 'q', 'v'].map((x) => `self_attn.${x}_proj.bias`),
    ];
    expect(trained.sort()).toEqual([0, 1].flatMap((i) => ofBlock.map((name) => `model.layers.${i}.${name}`)));
  });

  it('of Phi-4 mini as it is published › rotates three quarters of each head with LongRoPE, in a window beyond its context', () => {
    const factors = { long_factor: Array(48).fill(2.5), short_factor: Array(48).fill(1) };
    const published = {
      ...{
        model_type: 'phi3',
        attention_bias: false,
        attention_dropout: 0.0,
        embd_pdrop: 0.0,
        full_attn_mod: 1,
        hidden_act: 'silu',
        hidden_size: 3072,
      },
      ...{ intermediate_size: 8192, interpolate_factor: 1, lm_head_bias: false, max_position_embeddings: 131_072, mlp_bias: false, resid_pdrop: 0.0 },
      ...{ num_attention_heads: 24, num_hidden_layers: 32, num_key_value_heads: 8, original_max_position_embeddings: 4096, pad_token_id: 199_999 },
      ...{ partial_rotary_factor: 0.75, rope_scaling: { ...factors, type: 'longrope' }, rope_theta: 10_000.0, sliding_window: 262_144 },
      vocab_size: 200_064,
    };
    const config = parseModelConfig({ ...llama, ...published }, WHERE);
    const [layer] = softmaxLayers(config);
    expect(layer).toMatchObject({
      windowTokens: 262_144,
      rotary: { dimensions: 96, scaling: { type: 'longrope', originalMaxPositionTokens: 4096 } },
    });
    expect(config.ignored).toEqual([]);
    // √(1 + ln 32 / ln 4096)
    expect(layer!.rotary!.scaling).toMatchObject({ attentionFactor: expect.closeTo(1.190238, 6) });
  });

  it('of Gemma 4 without the fields of its layers › has the sizes, kinds and positions of transformers', () => {
    const config = parseModelConfig(
      { ...llama, model_type: 'gemma4_text', num_hidden_layers: 7, num_kv_shared_layers: 1, num_attention_heads: 8 },
      WHERE,
    );
    const layers = softmaxLayers(config);
    expect(layers.map(({ windowTokens }) => windowTokens)).toEqual([512, 512, 512, 512, 512, null, null]);
    expect(layers.map(({ sizes }) => sizes?.headSize ?? config.headSize)).toEqual([256, 256, 256, 256, 256, 512, 512]);
    expect(layers[5]!.rotary).toEqual({ theta: 1e6, dimensions: 512, scaling: { type: 'proportional', share: 0.25, factor: 1 } });
    expect(layers.map(({ sharesWith }) => sharesWith)).toEqual([...Array(6).fill(undefined), 5]);
    expect(config.perLayerInputs).toEqual({ size: 256, vocabSize: 262_144 });
  });

  it.each([
    ['experts', { enable_moe_block: true }, /enable_moe_block is true/],
    [
      'shared layers of a kind that no layer before them has',
      { num_kv_shared_layers: 3 },
      /layer 3 shares keys and values, but no layer of its kind has any/,
    ],
    ['a field of a layer that is not known', { per_layer_config: { 1: { head_dim: 16, alibi: true } } }, /per_layer_config\.1\.alibi is true/],
  ])('of Gemma 4 with %s › is refused by name', (_, change, message) => {
    const gemma4 = { ...llama, model_type: 'gemma4_text', num_hidden_layers: 4, num_attention_heads: 8 };
    expect(refusal(() => parseModelConfig({ ...gemma4, ...change }, WHERE)).message).toMatch(message);
  });

  const granite4 = { ...llama, model_type: 'granitemoehybrid', num_local_experts: 0, mamba_n_heads: 4 };

  it('of Granite 4 without kinds of layers › has Mamba layers alone, with the sizes of transformers', () => {
    const [first, second] = parseModelConfig(granite4, WHERE).mixers;
    expect(first).toEqual({
      ...{ kind: 'mamba', groups: 1, heads: 4, stateSize: 256, headSize: 32, convolutionTokens: 4, convolutionBias: true, bias: false },
      stepLimits: null,
    });
    expect(second).toEqual(first);
  });

  it('of Granite 4 as its hybrid models are published › has both kinds of layers, experts, and no rotary positions', () => {
    const published = {
      ...{ attention_bias: false, attention_dropout: 0.0, attention_multiplier: 0.0078125, embedding_multiplier: 12, hidden_act: 'silu' },
      ...{ hidden_size: 1536, init_method: 'mup', intermediate_size: 512, logits_scaling: 6, mamba_chunk_size: 256, mamba_conv_bias: true },
      ...{ mamba_d_conv: 4, mamba_d_head: 64, mamba_d_state: 128, mamba_expand: 2, mamba_n_groups: 1, mamba_n_heads: 48, mamba_proj_bias: false },
      ...{ max_position_embeddings: 131_072, normalization_function: 'rmsnorm', num_attention_heads: 12, num_experts_per_tok: 6 },
      ...{ num_hidden_layers: 10, num_key_value_heads: 4, num_local_experts: 64, output_router_logits: false, position_embedding_type: 'nope' },
      ...{ residual_multiplier: 0.22, rope_scaling: null, rope_theta: 10_000, router_aux_loss_coef: 0.0, shared_intermediate_size: 1024 },
      layer_types: Array.from({ length: 10 }, (_, layer) => (layer === 5 ? 'attention' : 'mamba')),
    };
    const config = parseModelConfig({ ...granite4, ...published }, WHERE);
    expect(config.mixers.map(({ kind }) => kind)).toEqual(published.layer_types);
    expect(config.mixers[0]).toMatchObject({ groups: 1, heads: 48, headSize: 64, stateSize: 128, stepLimits: null });
    expect(softmaxLayers(config)[0]!.rotary).toBeNull();
    expect(config.experts).toMatchObject({ count: 64, perToken: 6, intermediateSize: 512, shared: { intermediateSize: 1024 } });
    expect(config.ignored).toEqual([]);
  });

  it('of Granite 4 as transformers 5 writes it › has its names of layers, and infinity as no limit', () => {
    const names = { layer_types: ['linear_attention', 'full_attention'], rope_parameters: { rope_theta: 10_000, rope_type: 'default' } };
    const [before, now] = [
      { layer_types: ['mamba', 'attention'] },
      { ...names, time_step_limit: [0, { __float__: 'Infinity' }], mamba_d_head: 'auto' },
    ].map((change) => parseModelConfig({ ...granite4, ...change }, WHERE));
    expect(now).toEqual(before);
  });

  it.each([
    ['a kind of layer that it does not have', { layer_types: ['mamba', 'sliding_attention'] }, /layer_types has "sliding_attention"/],
    ['kinds under another name', { layers_block_type: ['mamba', 'attention'] }, /layers_block_type is \["mamba","attention"\]/],
    [
      'heads that do not fill its layers',
      { mamba_d_head: 16 },
      /mamba_n_heads \(4\) of mamba_d_head \(16\) are not mamba_expand · hidden_size \(128\)/,
    ],
    ['heads that groups cannot share', { mamba_n_groups: 3 }, /mamba_n_heads \(4\) is not a multiple of mamba_n_groups \(3\)/],
    ['a convolution without end', { mamba_d_conv: 1e6 }, /mamba_d_conv is 1000000/],
    ['limits that leave nothing', { time_step_limit: [2, 1] }, /time_step_limit is \[2,1\], not the least and the most/],
    ['one limit', { time_step_limit: [0] }, /time_step_limit is \[0\]/],
    ['other positions', { layer_types: ['mamba', 'attention'], position_embedding_type: 'alibi' }, /position_embedding_type is "alibi"/],
    [
      'more experts for a token than there are',
      { num_local_experts: 4, num_experts_per_tok: 5 },
      /num_experts_per_tok \(5\) is more than the 4 experts/,
    ],
  ])('of Granite 4 with %s › is refused by name', (_, change, message) => {
    expect(refusal(() => parseModelConfig({ ...granite4, ...change }, WHERE)).message).toMatch(message);
  });

  it.each(['granitemoe', 'granitemoeshared'])('of %s › has experts in every block, and an MLP of all tokens only if it has a size', (model_type) => {
    const alone = parseModelConfig({ ...llama, model_type }, WHERE).experts;
    expect(alone).toEqual({ count: 8, perToken: 2, intermediateSize: 96, normalised: true, inBlocks: [true, true] });
    const shared = parseModelConfig({ ...llama, model_type: 'granitemoeshared', shared_intermediate_size: 24 }, WHERE).experts;
    expect(shared).toEqual({ ...alone, shared: { intermediateSize: 24 } });
  });

  it.each(['prompt', 'prefix'] as const)('of Gemma 4 with %s tuning › is refused, because a token is more than its embedding', (type) => {
    const config = parseModelConfig({ ...llama, model_type: 'gemma4_text', num_attention_heads: 8 }, WHERE);
    expect(refusal(() => trainedShapes(config, resolveTuning({ type })))).toMatchObject({ code: 'unsupported_tuning', param: 'tuning.type' });
  });

  it.each([
    ['without a width of its own', {}, 2816],
    ['with the field of the first releases', { block_ff_dim: 6656 }, 4608],
    ['with a factor', { block_ffn_dim_multiplier: 1.5 }, 4096],
    ['with the width as it is', { block_auto_adjust_ff_dim: false }, 4096],
  ])('of LFM2 %s › has an MLP of the width that transformers computes', (_, change, size) => {
    expect(parseModelConfig({ ...llama, model_type: 'lfm2', intermediate_size: 4096, ...change }, WHERE).intermediateSize).toBe(size);
  });

  it('of LFM2 with a kind of layer that it does not have › is refused by name', () => {
    const change = { model_type: 'lfm2', layer_types: ['conv', 'sliding_attention'] };
    expect(refusal(() => parseModelConfig({ ...llama, ...change }, WHERE)).message).toMatch(/layer_types has "sliding_attention"/);
  });

  it('of Qwen 3.5 with prefix tuning › is refused, because delta nets have no keys and values', () => {
    const config = parseModelConfig(qwen35, WHERE);
    const error = refusal(() => trainedShapes(config, resolveTuning({ type: 'prefix' })));
    expect(error).toMatchObject({ code: 'unsupported_tuning', param: 'tuning.type' });
  });
});

describe('parseModelConfig › of a multimodal model', () => {
  const { model_type: _, tie_word_embeddings: __, eos_token_id: ___, ...sizes } = llama;
  const gemma3 = { model_type: 'gemma3', text_config: { ...sizes, model_type: 'gemma3_text', head_dim: 16 }, vision_config: { hidden_size: 7 } };
  const inText = (change: Record<string, unknown>) => parseModelConfig({ ...gemma3, text_config: { ...gemma3.text_config, ...change } }, WHERE);

  it('reads its language model, with the names that its modules have in the whole', () => {
    const alone = parseModelConfig({ ...sizes, model_type: 'gemma3_text', head_dim: 16 }, WHERE);
    const { names, otherTowers, modelType, ...whole } = parseModelConfig(gemma3, WHERE);
    expect({ ...whole, names: alone.names, modelType: 'gemma3_text' }).toEqual(alone);
    expect(modelType).toBe('gemma3');
    expect(names).toMatchObject({ blocks: 'model.language_model.layers', finalNorm: 'model.language_model.norm', head: 'lm_head' });
    expect(otherTowers).toContain('vision_tower.');
  });

  it("fills in transformers' defaults of sizes that published files leave out", () => {
    const published = { hidden_size: 2560, intermediate_size: 10_240, model_type: 'gemma3_text', num_hidden_layers: 34, sliding_window: 1024 };
    const config = parseModelConfig({ ...gemma3, text_config: published }, WHERE);
    expect(config).toMatchObject({ vocabSize: 262_208, heads: 8, kvHeads: 4, headSize: 256, maxPositionTokens: 131_072 });
  });

  it('takes the outer tie_word_embeddings alone, as transformers does', () => {
    expect(inText({ tie_word_embeddings: false }).tiedHead).toBe(true);
    expect(parseModelConfig({ ...gemma3, tie_word_embeddings: false }, WHERE).tiedHead).toBe(false);
    const qwen3Vl = { model_type: 'qwen3_vl', text_config: { ...sizes, model_type: 'qwen3_vl_text', tie_word_embeddings: true } };
    expect(parseModelConfig(qwen3Vl, WHERE).tiedHead).toBe(false);
  });

  it('takes the outer token ids before the inner ones', () => {
    const text_config = { ...gemma3.text_config, eos_token_id: 1, bos_token_id: 2 };
    const { eosTokenIds, bosTokenId } = parseModelConfig({ ...gemma3, eos_token_id: [1, 106], text_config }, WHERE);
    expect({ eosTokenIds, bosTokenId }).toEqual({ eosTokenIds: [1, 106], bosTokenId: 2 });
  });

  it.each([
    ['without text_config', { text_config: undefined }, 'corrupt_model_file', 'text_config'],
    [
      'with another language model',
      { text_config: { ...sizes, model_type: 'mamba' } },
      'unsupported_architecture',
      'text_config.model_type is "mamba"',
    ],
    [
      'with a language model called constructor',
      { text_config: { ...sizes, model_type: 'constructor' } },
      'unsupported_architecture',
      '"constructor"',
    ],
    [
      'with a language model without a name',
      { text_config: { ...sizes, model_type: { toString: 1 } } },
      'unsupported_architecture',
      'text_config.model_type',
    ],
    ['quantised', { quantization_config: { bits: 4 } }, 'unsupported_architecture', 'quantization_config'],
  ])('%s › is refused by name', (_, change, code, named) => {
    const error = refusal(() => parseModelConfig({ ...gemma3, ...change }, WHERE));
    expect(error.code).toBe(code);
    expect(error.message).toContain(named);
  });

  it.each([
    ['experts', { num_experts: 4 }, 'text_config.num_experts'],
    ['attention in both directions', { use_bidirectional_attention: true }, 'text_config.use_bidirectional_attention'],
    ['a wrong size', { hidden_size: 'wide' }, 'text_config.hidden_size'],
  ])('whose language model has %s › is refused by the name of the inner field', (_, change, named) => {
    expect(refusal(() => inText(change)).message).toContain(named);
  });
});
