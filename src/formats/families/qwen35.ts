/** Qwen3.5 and Qwen3-Next: most layers are gated delta nets, and every fourth one has gated softmax attention. */
import type { ConfigFields } from '../config-fields.ts';
import type { DeltaNet, Mixer, ModelConfig } from '../model-config.ts';
import type { DeltaNetNames, ExpertNames } from '../module-names.ts';
import { readRotary } from '../rotary.ts';
import { shown } from '../shown.ts';
import { type Family, layerTypes, withAttentionBias } from './family.ts';
import { LLAMA_NAMES, llamaLike } from './llama.ts';
import { EXPERT_NAMES, qwenExperts, sparseBlocks, withExperts } from './mixtures.ts';

const DELTA_NET: DeltaNetNames = {
  module: 'linear_attn',
  inputs: { mixed: 'linear_attn.in_proj_qkv', gate: 'linear_attn.in_proj_z', beta: 'linear_attn.in_proj_b', decay: 'linear_attn.in_proj_a' },
  convolution: 'linear_attn.conv1d',
  decayBias: 'linear_attn.dt_bias',
  decayLog: 'linear_attn.A_log',
  norm: 'linear_attn.norm',
  output: 'linear_attn.out_proj',
};

/** The text model alone. */
export const qwen35: Family = (fields) => hybrid(fields, DELTA_NET);

/** Qwen3-Next: the same blocks with other matrices, and experts beside an MLP of all tokens. */
export const qwen3Next: Family = (fields) => {
  const inputs = { mixedAndGate: 'linear_attn.in_proj_qkvz', betaAndDecay: 'linear_attn.in_proj_ba' };
  const config = hybrid(fields, { ...DELTA_NET, inputs }, { headSize: 256, kvHeads: 2 });
  return withExperts(fields, config, {
    ...qwenExperts(fields, { count: 512, perToken: 10, intermediateSize: 512, normalised: true }),
    shared: { intermediateSize: fields.natural('shared_expert_intermediate_size', 512) },
    inBlocks: sparseBlocks(fields, config.layers),
    names: { ...EXPERT_NAMES, shared: SHARED_EXPERT },
  });
};

const SHARED_EXPERT: NonNullable<ExpertNames['shared']> = {
  gate: 'mlp.shared_expert.gate_proj',
  up: 'mlp.shared_expert.up_proj',
  down: 'mlp.shared_expert.down_proj',
  outputGate: 'mlp.shared_expert_gate',
};

function hybrid(fields: ConfigFields, deltaNet: DeltaNetNames, sizes = { headSize: 256, kvHeads: 4 }): ModelConfig {
  const config = llamaLike(fields, {
    ...sizes,
    maxPositionTokens: 32_768,
    mixers({ layers, headSize, maxPositionTokens }) {
      const partial = { field: 'partial_rotary_factor', fallback: 0.25 };
      const rotary = readRotary(fields, { headSize, maxPositionTokens, theta: 10_000, partial, sections: true });
      const linear = readDeltaNet(fields);
      return softmaxLayers(fields, layers).map((isSoftmax): Mixer => (isSoftmax ? { kind: 'attention', windowTokens: null, rotary } : linear));
    },
  });
  // The convolution's activation is the MLP's, and the gate of the delta net's norm is always SiLU.
  if (config.mlp.activation !== 'silu') fields.unsupported(`hidden_act is ${shown(fields.value('hidden_act'))}`);
  return withAttentionBias(
    {
      ...config,
      norm: { ...config.norm, offset: 1 },
      attention: { ...config.attention, queryKeyNorm: 'head', outputGate: true },
      names: { ...LLAMA_NAMES, deltaNet },
    },
    fields.flag('attention_bias'),
  );
}

function readDeltaNet(fields: ConfigFields): DeltaNet {
  const [keyHeads, valueHeads] = [fields.natural('linear_num_key_heads', 16), fields.natural('linear_num_value_heads', 32)];
  if (valueHeads % keyHeads !== 0)
    fields.contradiction(`linear_num_value_heads (${valueHeads}) is not a multiple of linear_num_key_heads (${keyHeads})`);
  return {
    kind: 'delta_net',
    keyHeads,
    valueHeads,
    keySize: fields.natural('linear_key_head_dim', 128),
    valueSize: fields.natural('linear_value_head_dim', 128),
    convolutionTokens: fields.natural('linear_conv_kernel_dim', 4),
  };
}

/** Which layers have softmax attention: as `layer_types` says, otherwise the last of every `full_attention_interval`. */
function softmaxLayers(fields: ConfigFields, layers: number): boolean[] {
  const interval = fields.natural('full_attention_interval', 4);
  const types = layerTypes(fields, layers, ['full_attention', 'linear_attention']);
  return types?.map((type) => type === 'full_attention') ?? Array.from({ length: layers }, (_, layer) => (layer + 1) % interval === 0);
}
