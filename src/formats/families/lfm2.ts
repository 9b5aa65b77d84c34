/** LFM2: most layers are short convolutions, some have softmax attention. */
import type { ConfigFields } from '../config-fields.ts';
import type { Mixer, ModelConfig } from '../model-config.ts';
import type { ModuleNames } from '../module-names.ts';
import { type Family, layerTypes } from './family.ts';
import { LLAMA_NAMES, llamaLike } from './llama.ts';

const NAMES: ModuleNames = {
  ...LLAMA_NAMES,
  finalNorm: 'model.embedding_norm',
  norms: { beforeAttention: 'operator_norm', afterAttention: null, beforeMlp: 'ffn_norm', afterMlp: null },
  attention: {
    module: 'self_attn',
    norms: { query: 'self_attn.q_layernorm', key: 'self_attn.k_layernorm' },
    query: 'self_attn.q_proj',
    key: 'self_attn.k_proj',
    value: 'self_attn.v_proj',
    output: 'self_attn.out_proj',
  },
  shortConvolution: { module: 'conv', input: 'conv.in_proj', convolution: 'conv.conv', output: 'conv.out_proj' },
  mlp: { gate: 'feed_forward.w1', up: 'feed_forward.w3', down: 'feed_forward.w2' },
};

export const lfm2: Family = (fields) => {
  const config = llamaLike(fields, {
    epsilon: 1e-5,
    epsilonField: 'norm_eps',
    kvHeads: 8,
    padTokenId: 0,
    maxPositionTokens: 128_000,
    theta: 1_000_000,
    tiedHead: true,
    mixers({ layers, rotary }) {
      const attention: Mixer = { kind: 'attention', windowTokens: null, rotary: rotary() };
      const convolution: Mixer = {
        kind: 'short_convolution',
        convolutionTokens: fields.natural('conv_L_cache', 3),
        bias: fields.flag('conv_bias'),
      };
      return attentionLayers(fields, layers).map((hasAttention) => (hasAttention ? attention : convolution));
    },
  });
  const tiedHead = fields.value('tie_embedding') === undefined ? config.tiedHead : fields.flag('tie_embedding');
  return {
    ...config,
    tiedHead,
    intermediateSize: adjusted(fields, fields.value('block_ff_dim') === undefined ? config.intermediateSize : fields.natural('block_ff_dim')),
    attention: { ...config.attention, queryKeyNorm: 'head' },
    names: NAMES,
  };
};

/** As `layer_types` says, otherwise those of `full_attn_idxs`, otherwise all. */
function attentionLayers(fields: ConfigFields, layers: number): boolean[] {
  const indices = fields.value('full_attn_idxs');
  const types = layerTypes(fields, layers, ['full_attention', 'conv']);
  if (types !== null) return types.map((type) => type === 'full_attention');
  return Array.from({ length: layers }, (_, layer) => !Array.isArray(indices) || indices.includes(layer));
}

/** Two thirds of the width in the file, times a factor, in whole blocks. */
function adjusted(fields: ConfigFields, size: number): ModelConfig['intermediateSize'] {
  if (!fields.flag('block_auto_adjust_ff_dim', true)) return size;
  const twoThirds = Math.trunc((2 * size) / 3);
  const factor = fields.positiveOrOff('block_ffn_dim_multiplier', 1);
  if (factor === null) return twoThirds;
  const block = fields.natural('block_multiple_of', 256);
  return block * Math.ceil(Math.trunc(factor * twoThirds) / block);
}
