/** Llama, and the families that differ from it only a little. */
import type { ConfigFields } from '../config-fields.ts';
import type { Activation, Mixer, ModelConfig } from '../model-config.ts';
import type { ModuleNames } from '../module-names.ts';
import { type Rotary, type RotaryDefaults, readRotary } from '../rotary.ts';
import {
  ACTIVATIONS,
  commonParts,
  everyLayer,
  type Family,
  layerWindows,
  paddingId,
  rotatedLayers,
  withAttentionBias,
  withInputBias,
} from './family.ts';

export const LLAMA_NAMES: ModuleNames = {
  prefix: 'model.',
  embedding: 'model.embed_tokens',
  positions: null,
  blocks: 'model.layers',
  finalNorm: 'model.norm',
  head: 'lm_head',
  norms: { beforeAttention: 'input_layernorm', afterAttention: null, beforeMlp: 'post_attention_layernorm', afterMlp: null },
  attention: {
    module: 'self_attn',
    norms: { query: 'self_attn.q_norm', key: 'self_attn.k_norm' },
    query: 'self_attn.q_proj',
    key: 'self_attn.k_proj',
    value: 'self_attn.v_proj',
    output: 'self_attn.o_proj',
  },
  deltaNet: null,
  shortConvolution: null,
  mlp: { gate: 'mlp.gate_proj', up: 'mlp.up_proj', down: 'mlp.down_proj' },
};

/** A family's differences from Llama that matter while its fields are read. */
export interface Differences {
  epsilon?: number;
  epsilonField?: string;
  headSize?: number;
  kvHeads?: number;
  maxPositionTokens?: number;
  /** transformers' default for `pad_token_id`. */
  padTokenId?: number;
  theta?: number;
  /** What else its rotary positions differ in. */
  rotary?: Pick<RotaryDefaults, 'partial' | 'original' | 'interleaved' | 'scalesQueries' | 'parameters'>;
  tiedHead?: boolean;
  activation?: { field: string; table: Readonly<Record<string, Activation>>; fallback: string };
  /** By default, every layer has full attention and the same rotary positions. */
  mixers?(given: { layers: number; hiddenSize: number; headSize: number; maxPositionTokens: number; rotary(): Rotary }): Mixer[];
}

export function llamaLike(fields: ConfigFields, family: Differences = {}): ModelConfig {
  const hiddenSize = fields.natural('hidden_size');
  const layers = fields.natural('num_hidden_layers');
  const heads = fields.natural('num_attention_heads');
  const kvHeads = fields.natural('num_key_value_heads', fields.has('num_key_value_heads') ? heads : (family.kvHeads ?? heads));
  const headSize = fields.natural('head_dim', family.headSize ?? Math.floor(hiddenSize / heads));
  const maxPositionTokens = fields.natural('max_position_embeddings', family.maxPositionTokens ?? 2048);
  const activation = family.activation ?? { field: 'hidden_act', table: ACTIVATIONS, fallback: 'silu' };
  const vocabSize = fields.natural('vocab_size');
  if (heads % kvHeads !== 0) fields.contradiction(`num_attention_heads (${heads}) is not a multiple of num_key_value_heads (${kvHeads})`);
  const rotary = () => readRotary(fields, { headSize, maxPositionTokens, theta: family.theta ?? 10_000, ...family.rotary });
  const given = { layers, hiddenSize, headSize, maxPositionTokens, rotary };
  return {
    modelType: fields.value('model_type') as string,
    hiddenSize,
    layers,
    heads,
    kvHeads,
    headSize,
    intermediateSize: fields.natural('intermediate_size'),
    vocabSize,
    maxPositionTokens,
    norm: { kind: 'rms', epsilon: fields.positive(family.epsilonField ?? 'rms_norm_eps', family.epsilon ?? 1e-6), offset: 0 },
    embeddingScale: 1,
    residualScale: 1,
    logitScale: 1,
    attention: {
      inputBias: false,
      outputBias: false,
      queryKeyNorm: null,
      scale: 1 / Math.sqrt(headSize),
      softCap: null,
      outputGate: false,
    },
    mixers: family.mixers?.(given) ?? everyLayer(layers, rotary()),
    mlp: { activation: fields.choice(activation.field, activation.table, activation.fallback), bias: false },
    paddingId: paddingId(fields, { vocabSize, fallback: family.padTokenId ?? null }),
    parallelResidual: false,
    logitSoftCap: null,
    tiedHead: fields.flag('tie_word_embeddings', family.tiedHead),
    inputFirst: false,
    names: LLAMA_NAMES,
    ...commonParts(fields),
  };
}

const withMlpBias = (config: ModelConfig, bias: boolean): ModelConfig => ({ ...config, mlp: { ...config.mlp, bias } });

/** Llama 1 to 3.3, SmolLM2 and others with its `model_type`. */
export const llama: Family = (fields) => withMlpBias(withAttentionBias(llamaLike(fields), fields.flag('attention_bias')), fields.flag('mlp_bias'));

/** Every fourth layer has no rotary positions (NoPE). */
export const smollm3: Family = (fields) => {
  const config = llamaLike(fields, {
    kvHeads: 4,
    padTokenId: 128_004,
    maxPositionTokens: 32_768,
    theta: 2_000_000,
    tiedHead: true,
    mixers({ layers, rotary }) {
      const rope = rotary();
      const rotated = rotatedLayers(fields, layers);
      const [on, window] = [fields.flag('use_sliding_window'), fields.positiveOrOff('sliding_window', null)];
      // `layer_types` has its way whatever `use_sliding_window` says.
      const windows = layerWindows(fields, layers, { window, rule: (layer) => on && window !== null && !rotated[layer] });
      return windows.map((windowTokens, layer) => ({ kind: 'attention', windowTokens, rotary: rotated[layer] ? rope : null }));
    },
  });
  return withMlpBias(withAttentionBias(config, fields.flag('attention_bias')), fields.flag('mlp_bias'));
};

export const mistral: Family = (fields) =>
  llamaLike(fields, {
    kvHeads: 8,
    maxPositionTokens: 131_072,
    mixers: ({ layers, rotary }) => everyLayer(layers, rotary(), fields.positiveOrOff('sliding_window', 4096)),
  });

/** A window in the layers that `layer_types` names; without it, in all or none. */
export const ministral: Family = (fields) =>
  llamaLike(fields, {
    kvHeads: 8,
    maxPositionTokens: 131_072,
    mixers({ layers, rotary }) {
      const rope = rotary();
      const window = fields.positiveOrOff('sliding_window', 4096);
      const windows = layerWindows(fields, layers, { window, rule: () => window !== null });
      return windows.map((windowTokens) => ({ kind: 'attention', windowTokens, rotary: rope }));
    },
  });

/** Ministral 3 and the text model of Mistral 3 since December 2025: queries grow with their position. */
export const ministral3: Family = (fields) =>
  llamaLike(fields, {
    epsilon: 1e-5,
    headSize: 128,
    kvHeads: 8,
    padTokenId: 11,
    maxPositionTokens: 262_144,
    theta: 1_000_000,
    rotary: { scalesQueries: true, parameters: MINISTRAL_ROPE },
    mixers: ({ layers, rotary }) => everyLayer(layers, rotary(), fields.positiveOrOff('sliding_window', null)),
  });

const MINISTRAL_ROPE = {
  ...{ type: 'yarn', rope_theta: 1_000_000, factor: 16, original_max_position_embeddings: 16_384, beta_fast: 32, beta_slow: 1 },
  ...{ mscale: 1, mscale_all_dim: 1, llama_4_scaling_beta: 0.1 },
};

function qwenLike(fields: ConfigFields, differences: Differences): ModelConfig {
  const first = fields.value('max_window_layers') === 0 ? 0 : fields.natural('max_window_layers', 28);
  return llamaLike(fields, {
    kvHeads: 32,
    maxPositionTokens: 32_768,
    mixers({ layers, rotary }) {
      const rope = rotary();
      const [on, given] = [fields.flag('use_sliding_window'), fields.positiveOrOff('sliding_window', 4096)];
      const window = on ? given : null;
      const windows = layerWindows(fields, layers, { window, rule: (layer) => window !== null && layer >= first });
      return windows.map((windowTokens) => ({ kind: 'attention', windowTokens, rotary: rope }));
    },
    ...differences,
  });
}

/** Qwen 2 and 2.5: biases on queries, keys and values. */
export const qwen2: Family = (fields) => {
  const config = qwenLike(fields, {});
  return withInputBias(config, true);
};

/** Norms on the queries and keys of each head. */
export const qwen3: Family = (fields) => {
  const config = qwenLike(fields, { headSize: 128 });
  return withAttentionBias({ ...config, attention: { ...config.attention, queryKeyNorm: 'head' } }, fields.flag('attention_bias'));
};

/** Queries, keys and values in one matrix, gate and up in another. */
export const phi3: Family = (fields) => ({
  ...llamaLike(fields, {
    epsilon: 1e-5,
    padTokenId: 32_000,
    maxPositionTokens: 4096,
    rotary: { partial: { field: 'partial_rotary_factor', fallback: 1 }, original: { fallback: 4096 } },
    mixers: ({ layers, rotary }) => everyLayer(layers, rotary(), fields.positiveOrOff('sliding_window', null)),
  }),
  names: {
    ...LLAMA_NAMES,
    attention: { module: 'self_attn', norms: null, fused: 'self_attn.qkv_proj', order: 'parts', output: 'self_attn.o_proj' },
    mlp: { gateAndUp: 'mlp.gate_up_proj', down: 'mlp.down_proj' },
  },
});
