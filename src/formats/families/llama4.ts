/**
 * The text model of Llama 4: experts beside an MLP of all tokens, layers without positions, and keys and queries of one length. Its router is a linear layer
 * to PEFT, which cannot adapt it, because it gives two results: `all-linear` leaves it out here.
 */
import type { ConfigFields } from '../config-fields.ts';
import type { ModelConfig } from '../model-config.ts';
import type { ExpertNames } from '../module-names.ts';
import { shown } from '../shown.ts';
import { blockNumbers, type Family, rotatedLayers, withAttentionBias } from './family.ts';
import { LLAMA_NAMES, llamaLike } from './llama.ts';
import { withExperts } from './mixtures.ts';

const EXPERTS: ExpertNames = {
  router: 'feed_forward.router',
  gateAndUp: 'feed_forward.experts.gate_up_proj',
  down: 'feed_forward.experts.down_proj',
  shared: {
    gate: 'feed_forward.shared_expert.gate_proj',
    up: 'feed_forward.shared_expert.up_proj',
    down: 'feed_forward.shared_expert.down_proj',
  },
};

const MLP: ModelConfig['names']['mlp'] = { gate: 'feed_forward.gate_proj', up: 'feed_forward.up_proj', down: 'feed_forward.down_proj' };

export const llama4: Family = (fields) => {
  fields.ignore('router_jitter_noise', 0);
  fields.ignore('output_router_logits', false);
  fields.value('for_llm_compressor'); // of no effect in the maths
  const config = llamaLike(fields, {
    epsilon: 1e-5,
    headSize: 128,
    kvHeads: 8,
    maxPositionTokens: 131_072,
    theta: 500_000,
    rotary: { interleaved: true },
    mixers({ layers, rotary }) {
      const rope = rotary();
      return ofLayers(fields, layers).map((isRotated) => ({ kind: 'attention', windowTokens: null, rotary: isRotated ? rope : null }));
    },
  });
  const { intermediateSize: ofExperts } = config;
  const described: ModelConfig = {
    ...config,
    intermediateSize: fields.natural('intermediate_size_mlp', 16_384),
    // Within a chunk all tokens see each other, and the scores of layers without positions are not scaled before the first step of the floor.
    maxPositionTokens: Math.min(config.maxPositionTokens, chunk(fields), fields.natural('floor_scale', 8192) - 1),
    attention: { ...config.attention, queryKeyNorm: fields.flag('use_qk_norm', true) ? 'rotated' : null },
    names: { ...LLAMA_NAMES, mlp: MLP, attention: { ...LLAMA_NAMES.attention, norms: null } },
  };
  for (const field of ['attn_temperature_tuning', 'attn_scale']) fields.value(field);
  return withExperts(fields, withAttentionBias(described, fields.flag('attention_bias')), {
    count: fields.natural('num_local_experts', 16),
    perToken: fields.natural('num_experts_per_tok', 1),
    intermediateSize: ofExperts,
    normalised: false,
    inBlocks: sparseBlocks(fields, config.layers),
    shared: { intermediateSize: ofExperts },
    inputFirst: true,
    inputWeights: true,
    names: EXPERTS,
  });
};

function chunk(fields: ConfigFields): number {
  return fields.positiveOrOff('attention_chunk_size', 8192) ?? Number.POSITIVE_INFINITY;
}

/** An empty list counts for none, as in transformers. `layer_types` may only say the same. */
function ofLayers(fields: ConfigFields, layers: number): boolean[] {
  const listed = fields.value('no_rope_layers');
  const rotated = rotatedLayers(fields, layers, Array.isArray(listed) ? listed.length > 0 : listed !== undefined);
  const types = fields.value('layer_types');
  const expected = rotated.map((isRotated) => (isRotated ? 'chunked_attention' : 'full_attention'));
  if (types !== undefined && JSON.stringify(types) !== JSON.stringify(expected)) fields.unsupported(`layer_types is ${shown(types)}`);
  return rotated;
}

function sparseBlocks(fields: ConfigFields, layers: number): boolean[] {
  const step = fields.natural('interleave_moe_layer_step', 1);
  const listed = blockNumbers(fields, 'moe_layers');
  return Array.from({ length: layers }, (_, layer) => listed?.includes(layer) ?? (layer + 1) % step === 0);
}
