/** gpt-oss: experts with biases behind a clamped SwiGLU, a sink for each head, a window in every other layer. */
import type { ConfigFields } from '../config-fields.ts';
import type { ModelConfig } from '../model-config.ts';
import type { ExpertNames } from '../module-names.ts';
import { shown } from '../shown.ts';
import { type Family, layerWindows, withAttentionBias } from './family.ts';
import { LLAMA_NAMES, llamaLike } from './llama.ts';
import { balanceOf, withExperts } from './mixtures.ts';

const EXPERTS: ExpertNames = { router: 'mlp.router', gateAndUp: 'mlp.experts.gate_up_proj', down: 'mlp.experts.down_proj' };

/** transformers' `rope_parameters` of a file without them. */
const YARN = { rope_type: 'yarn', factor: 32, beta_fast: 32, beta_slow: 1, truncate: false, original_max_position_embeddings: 4096 };

export const gptOss: Family = (fields) => {
  const config = llamaLike(fields, {
    epsilon: 1e-5,
    headSize: 64,
    kvHeads: 8,
    maxPositionTokens: 131_072,
    theta: 150_000,
    rotary: { parameters: YARN },
    mixers({ layers, rotary }) {
      const rope = rotary();
      const window = fields.positiveOrOff('sliding_window', 128);
      const windows = layerWindows(fields, layers, { window, rule: (layer) => layer % 2 === 0 });
      return windows.map((windowTokens) => ({ kind: 'attention', windowTokens, rotary: rope }));
    },
  });
  if (config.mlp.activation !== 'silu') fields.unsupported(`hidden_act is ${shown(fields.value('hidden_act'))}`); // it has no effect, and a fork might give it one
  const described: ModelConfig = {
    ...withAttentionBias(config, fields.flag('attention_bias', true)),
    names: { ...LLAMA_NAMES, attention: { ...LLAMA_NAMES.attention, norms: null, sinks: 'self_attn.sinks' } },
    ...(isPacked(fields) && { packed: 'mxfp4' as const }),
  };
  return withExperts(fields, described, {
    count: fields.natural('num_local_experts', 128),
    perToken: fields.natural('num_experts_per_tok', 4),
    intermediateSize: config.intermediateSize,
    // A softmax over a token's experts alone.
    normalised: true,
    inBlocks: config.mixers.map(() => true),
    ...balanceOf(fields),
    bias: true,
    inputFirst: true,
    interleaved: true,
    clamped: { alpha: fields.positive('swiglu_alpha', 1.702), limit: fields.positive('swiglu_limit', 7) },
    names: EXPERTS,
  });
};

/** Whether the experts' matrices are in MXFP4, as the model is published. */
function isPacked(fields: ConfigFields): boolean {
  const given = fields.nested('quantization_config');
  if (given === null) return false;
  const method = given.value('quant_method');
  if (method !== 'mxfp4') fields.unsupported(`quantization_config.quant_method is ${shown(method)}, not "mxfp4"`);
  return method === 'mxfp4';
}
