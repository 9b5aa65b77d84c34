/** Mixtures of experts whose blocks are otherwise those of a dense family. */
import type { ConfigFields } from '../config-fields.ts';
import type { Experts, ModelConfig } from '../model-config.ts';
import type { ExpertNames } from '../module-names.ts';
import { blockNumbers, everyLayer, type Family, withAttentionBias } from './family.ts';
import { llamaLike } from './llama.ts';

const EXPERTS = { router: 'mlp.gate', gateAndUp: 'mlp.experts.gate_up_proj', down: 'mlp.experts.down_proj' };

/** transformers saves the matrices of each expert by themselves. */
export const EXPERT_NAMES: ExpertNames = {
  ...EXPERTS,
  stored: {
    router: 'mlp.gate',
    gate: (expert) => `mlp.experts.${expert}.gate_proj`,
    up: (expert) => `mlp.experts.${expert}.up_proj`,
    down: (expert) => `mlp.experts.${expert}.down_proj`,
  },
  former: { router: 'gate', gate: 'gate_proj', up: 'up_proj', down: 'down_proj' },
};

const MIXTRAL_NAMES: ExpertNames = {
  ...EXPERTS,
  stored: {
    router: 'block_sparse_moe.gate',
    gate: (expert) => `block_sparse_moe.experts.${expert}.w1`,
    up: (expert) => `block_sparse_moe.experts.${expert}.w3`,
    down: (expert) => `block_sparse_moe.experts.${expert}.w2`,
  },
  former: { router: 'gate', gate: 'w1', up: 'w3', down: 'w2' },
};

export function withExperts(fields: ConfigFields, config: ModelConfig, { names, ...experts }: Experts & { names: ExpertNames }): ModelConfig {
  if (experts.perToken > experts.count) fields.contradiction(`num_experts_per_tok (${experts.perToken}) is more than the ${experts.count} experts`);
  return { ...config, experts, names: { ...config.names, experts: names } };
}

/** What transformers does when it is asked to return the routers' logits. */
export function balanceOf(fields: ConfigFields): Pick<Experts, 'balance'> {
  if (!fields.flag('output_router_logits') || fields.value('router_aux_loss_coef') === 0) return {};
  return { balance: fields.positive('router_aux_loss_coef', 0.001) };
}

/** Experts in every block, as wide as the configuration's MLP, with a softmax over a token's experts alone. */
export const expertsEverywhere = (fields: ConfigFields, config: ModelConfig): Experts => ({
  count: fields.natural('num_local_experts', 8),
  perToken: fields.natural('num_experts_per_tok', 2),
  intermediateSize: config.intermediateSize,
  normalised: true,
  inBlocks: config.mixers.map(() => true),
  ...balanceOf(fields),
});

export const mixtral: Family = (fields) => {
  fields.ignore('router_jitter_noise', 0);
  const config = llamaLike(fields, {
    epsilon: 1e-5,
    kvHeads: 8,
    maxPositionTokens: 131_072,
    theta: 1_000_000,
    mixers: ({ layers, rotary }) => everyLayer(layers, rotary(), fields.positiveOrOff('sliding_window', null)),
  });
  return withExperts(fields, config, { ...expertsEverywhere(fields, config), names: MIXTRAL_NAMES });
};

/** Qwen 3 with experts in every block that `decoder_sparse_step` and `mlp_only_layers` leave to them. */
export const qwen3Moe: Family = (fields) => {
  const config = llamaLike(fields, {
    kvHeads: 4,
    maxPositionTokens: 32_768,
    mixers({ layers, rotary }) {
      const window = fields.positiveOrOff('sliding_window', 4096);
      return everyLayer(layers, rotary(), fields.flag('use_sliding_window') ? window : null);
    },
  });
  const normed: ModelConfig = { ...config, attention: { ...config.attention, queryKeyNorm: 'head' } };
  return withExperts(fields, withAttentionBias(normed, fields.flag('attention_bias')), {
    ...qwenExperts(fields, { count: 128, perToken: 8, intermediateSize: 768, normalised: false }),
    inBlocks: sparseBlocks(fields, config.layers),
    names: EXPERT_NAMES,
  });
};

/** What Qwen's configurations say of experts. transformers 5 calls their number by another name. */
export function qwenExperts(fields: ConfigFields, fallback: Omit<Experts, 'inBlocks'>): Omit<Experts, 'inBlocks'> {
  return {
    count: fields.natural('num_experts', fields.has('num_local_experts') ? fields.natural('num_local_experts') : fallback.count),
    perToken: fields.natural('num_experts_per_tok', fallback.perToken),
    intermediateSize: fields.natural('moe_intermediate_size', fallback.intermediateSize),
    normalised: fields.flag('norm_topk_prob', fallback.normalised),
    ...balanceOf(fields),
  };
}

/** Whether each block has experts, as Qwen's configurations say it. */
export function sparseBlocks(fields: ConfigFields, layers: number): boolean[] {
  const step = fields.natural('decoder_sparse_step', 1);
  const dense = blockNumbers(fields, 'mlp_only_layers') ?? [];
  return Array.from({ length: layers }, (_, layer) => !dense.includes(layer) && (layer + 1) % step === 0);
}
