/** GPT-2, and GPT-NeoX with Pythia: LayerNorm, biases, an MLP without a gate. */
import type { ConfigFields } from '../config-fields.ts';
import type { ModelConfig } from '../model-config.ts';
import { readRotary } from '../rotary.ts';
import { ACTIVATIONS, commonParts, everyLayer, type Family } from './family.ts';

type Sizes = Pick<ModelConfig, 'hiddenSize' | 'layers' | 'heads' | 'kvHeads' | 'headSize'>;

function sizes(fields: ConfigFields, names: { hidden: string; layers: string; heads: string }, defaults: Partial<Sizes> = {}): Sizes {
  const hiddenSize = fields.natural(names.hidden, defaults.hiddenSize);
  const layers = fields.natural(names.layers, defaults.layers);
  const heads = fields.natural(names.heads, defaults.heads);
  if (hiddenSize % heads !== 0) fields.contradiction(`${names.hidden} (${hiddenSize}) is not a multiple of ${names.heads} (${heads})`);
  return { hiddenSize, layers, heads, kvHeads: heads, headSize: Math.floor(hiddenSize / heads) };
}

/** Learned positions, and linear layers whose weights are stored [in, out]. */
export const gpt2: Family = (fields) => {
  // transformers takes the usual names as well as GPT-2's own, and lets them win.
  const named = (usual: string, own: string): string => (fields.value(usual) === undefined ? own : usual);
  const names = {
    hidden: named('hidden_size', 'n_embd'),
    layers: named('num_hidden_layers', 'n_layer'),
    heads: named('num_attention_heads', 'n_head'),
  };
  const size = sizes(fields, names, { hiddenSize: 768, layers: 12, heads: 12 });
  return {
    modelType: 'gpt2',
    ...size,
    intermediateSize: fields.natural('n_inner', 4 * size.hiddenSize),
    vocabSize: fields.natural('vocab_size', 50_257),
    maxPositionTokens: fields.natural(named('max_position_embeddings', 'n_positions'), 1024),
    norm: { kind: 'layer', epsilon: fields.positive('layer_norm_epsilon', 1e-5), offset: 0 },
    embeddingScale: 1,
    residualScale: 1,
    logitScale: 1,
    attention: {
      inputBias: true,
      outputBias: true,
      queryKeyNorm: null,
      scale: fields.flag('scale_attn_weights', true) ? 1 / Math.sqrt(size.headSize) : 1,
      softCap: null,
      outputGate: false,
    },
    mixers: everyLayer(size.layers, null),
    mlp: { activation: fields.choice('activation_function', ACTIVATIONS, 'gelu_new'), bias: true },
    paddingId: null,
    parallelResidual: false,
    logitSoftCap: null,
    tiedHead: fields.flag('tie_word_embeddings', true),
    inputFirst: true,
    names: {
      prefix: 'transformer.',
      embedding: 'transformer.wte',
      positions: 'transformer.wpe',
      blocks: 'transformer.h',
      finalNorm: 'transformer.ln_f',
      head: 'lm_head',
      norms: { beforeAttention: 'ln_1', afterAttention: null, beforeMlp: 'ln_2', afterMlp: null },
      attention: { module: 'attn', norms: null, fused: 'attn.c_attn', order: 'parts', output: 'attn.c_proj' },
      deltaNet: null,
      shortConvolution: null,
      mlp: { up: 'mlp.c_fc', down: 'mlp.c_proj' },
    },
    ...commonParts(fields),
  };
};

/** Rotates only a part of each head; attention and MLP run in parallel. */
export const gptNeox: Family = (fields) => {
  const size = sizes(fields, { hidden: 'hidden_size', layers: 'num_hidden_layers', heads: 'num_attention_heads' });
  const maxPositionTokens = fields.natural('max_position_embeddings', 2048);
  // transformers would rotate a share of this head size, and attend with the usual one.
  if (fields.natural('head_dim', size.headSize) !== size.headSize) fields.unsupported(`head_dim is not hidden_size / num_attention_heads`);
  const partial = { field: 'rotary_pct', fallback: 0.25 };
  const rotary = readRotary(fields, { headSize: size.headSize, maxPositionTokens, theta: 10_000, thetaField: 'rotary_emb_base', partial });
  const bias = fields.flag('attention_bias', true);
  return {
    modelType: 'gpt_neox',
    ...size,
    intermediateSize: fields.natural('intermediate_size'),
    vocabSize: fields.natural('vocab_size'),
    maxPositionTokens,
    norm: { kind: 'layer', epsilon: fields.positive('layer_norm_eps', 1e-5), offset: 0 },
    embeddingScale: 1,
    residualScale: 1,
    logitScale: 1,
    attention: {
      inputBias: bias,
      outputBias: bias,
      queryKeyNorm: null,
      scale: 1 / Math.sqrt(size.headSize),
      softCap: null,
      outputGate: false,
    },
    mixers: everyLayer(size.layers, rotary),
    mlp: { activation: fields.choice('hidden_act', ACTIVATIONS, 'gelu'), bias: true },
    paddingId: null,
    parallelResidual: fields.flag('use_parallel_residual', true),
    logitSoftCap: null,
    tiedHead: fields.flag('tie_word_embeddings'),
    inputFirst: false,
    names: {
      prefix: 'gpt_neox.',
      embedding: 'gpt_neox.embed_in',
      positions: null,
      blocks: 'gpt_neox.layers',
      finalNorm: 'gpt_neox.final_layer_norm',
      head: 'embed_out',
      norms: { beforeAttention: 'input_layernorm', afterAttention: null, beforeMlp: 'post_attention_layernorm', afterMlp: null },
      attention: { module: 'attention', norms: null, fused: 'attention.query_key_value', order: 'heads', output: 'attention.dense' },
      deltaNet: null,
      shortConvolution: null,
      mlp: { up: 'mlp.dense_h_to_4h', down: 'mlp.dense_4h_to_h' },
    },
    ...commonParts(fields),
  };
};
