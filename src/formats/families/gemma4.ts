/** The text model of Gemma 4 in its dense sizes: inputs for each layer, larger heads where the whole context is seen, keys and values that layers share. */
import type { ConfigFields } from '../config-fields.ts';
import type { Mixer, SoftmaxAttention } from '../model-config.ts';
import { readRotary } from '../rotary.ts';
import { shown } from '../shown.ts';
import { ACTIVATIONS, type Family, layerWindows, withAttentionBias } from './family.ts';
import { FOUR_NORMS } from './gemma.ts';
import { LLAMA_NAMES, llamaLike } from './llama.ts';

/** transformers' `rope_parameters` of a file without them. */
const ROPE = {
  full_attention: { rope_type: 'proportional', partial_rotary_factor: 0.25, rope_theta: 1_000_000 },
  sliding_attention: { rope_type: 'default', rope_theta: 10_000 },
};
const PERIOD = 6;

export const gemma4: Family = (fields) => {
  const layers = fields.natural('num_hidden_layers', 30);
  const ownLayers = layers - countOf(fields, 'num_kv_shared_layers', 0);
  const valuesAreKeys = fields.flag('attention_k_eq_v');
  const config = llamaLike(fields, {
    headSize: 256,
    kvHeads: 4,
    padTokenId: 0,
    maxPositionTokens: 131_072,
    tiedHead: true,
    activation: { field: 'hidden_activation', table: ACTIVATIONS, fallback: 'gelu_pytorch_tanh' },
    mixers: ({ headSize, maxPositionTokens }) => readLayers(fields, { layers, ownLayers, headSize, maxPositionTokens, valuesAreKeys }),
  });
  // "vision": images see themselves whole; a text has none.
  const bidirectional = fields.value('use_bidirectional_attention');
  if (bidirectional !== undefined && bidirectional !== 'vision') fields.unsupported(`use_bidirectional_attention is ${shown(bidirectional)}`);
  if (fields.flag('enable_moe_block')) fields.unsupported('enable_moe_block is true');
  for (const field of ['num_experts', 'top_k_experts', 'moe_intermediate_size']) fields.value(field); // of no effect without it
  const size = countOf(fields, 'hidden_size_per_layer_input', 256);
  const vocabSize = fields.natural('vocab_size_per_layer_input', 262_144);
  return withAttentionBias(
    {
      ...config,
      embeddingScale: Math.fround(Math.sqrt(config.hiddenSize)),
      attention: { ...config.attention, scale: 1, queryKeyNorm: 'head', valueNorm: true },
      mlp: { ...config.mlp, ...(fields.flag('use_double_wide_mlp') && ownLayers < layers && { doubledFrom: ownLayers }) },
      ...(size > 0 && { perLayerInputs: { size, vocabSize } }),
      logitSoftCap: fields.positiveOrOff('final_logit_softcapping', null),
      names: {
        ...LLAMA_NAMES,
        norms: FOUR_NORMS,
        perLayerInputs: {
          embedding: 'model.embed_tokens_per_layer',
          projection: 'model.per_layer_model_projection',
          projectionNorm: 'model.per_layer_projection_norm',
          gate: 'per_layer_input_gate',
          output: 'per_layer_projection',
          norm: 'post_per_layer_input_norm',
        },
        blockScale: 'layer_scalar',
      },
    },
    fields.flag('attention_bias'),
  );
};

const countOf = (fields: ConfigFields, field: string, fallback: number): number =>
  (fields.value(field) ?? fallback) === 0 ? 0 : fields.natural(field, fallback);

interface Given {
  layers: number;
  /** How many layers, from the first, have keys and values of their own. */
  ownLayers: number;
  headSize: number;
  maxPositionTokens: number;
  valuesAreKeys: boolean;
}

function readLayers(fields: ConfigFields, { layers, ownLayers, headSize, maxPositionTokens, valuesAreKeys }: Given): Mixer[] {
  const window = fields.positiveOrOff('sliding_window', 512);
  const windows = layerWindows(fields, layers, { window, rule: (layer) => (layer + 1) % PERIOD !== 0 });
  if (windows.length > 0) windows[windows.length - 1] = null; // transformers forces it
  const sizesOf = readSizes(fields, { headSize, valuesAreKeys });
  const rotaryOf = new Map<string, SoftmaxAttention['rotary']>();
  const mixers: SoftmaxAttention[] = [];
  for (const [layer, windowTokens] of windows.entries()) {
    const kind = windowTokens === null ? 'full_attention' : 'sliding_attention';
    const sizes = sizesOf(layer, windowTokens === null);
    const size = sizes?.headSize ?? headSize;
    const known = `${kind} ${size}`;
    if (!rotaryOf.has(known)) rotaryOf.set(known, rotary(fields, { kind, headSize: size, maxPositionTokens }));
    const provider = layer < ownLayers ? undefined : mixers.findLastIndex((other, index) => index < ownLayers && other.windowTokens === windowTokens);
    if (provider === -1) fields.contradiction(`layer ${layer} shares keys and values, but no layer of its kind has any`);
    mixers.push({
      kind: 'attention',
      windowTokens,
      rotary: rotaryOf.get(known)!,
      ...(sizes && { sizes }),
      ...(valuesAreKeys && windowTokens === null && { valuesAreKeys }),
      ...(provider !== undefined && provider !== -1 && { sharesWith: provider }),
    });
  }
  return mixers;
}

function rotary(fields: ConfigFields, { kind, ...sizes }: { kind: keyof typeof ROPE; headSize: number; maxPositionTokens: number }) {
  const parameters = fields.value('rope_parameters') === undefined ? ROPE[kind] : undefined;
  return readRotary(fields, { ...sizes, theta: ROPE[kind].rope_theta, thetaField: null, layerType: kind, ...(parameters && { parameters }) });
}

/** Sizes of heads that differ from the model's: by layer as transformers writes them, or of all layers that see the whole context. */
function readSizes(fields: ConfigFields, { headSize, valuesAreKeys }: Pick<Given, 'headSize' | 'valuesAreKeys'>) {
  const kvHeads = fields.natural('num_key_value_heads', 4);
  const perLayer = fields.nested('per_layer_config');
  const [globalSize, globalKvHeads] = [fields.natural('global_head_dim', 512), fields.natural('num_global_key_value_heads', kvHeads)];
  return (layer: number, isGlobal: boolean): SoftmaxAttention['sizes'] => {
    const own = perLayer?.nested(String(layer)) ?? null;
    if (perLayer !== null) {
      if (own === null) return undefined;
      const sizes = { headSize: own.natural('head_dim', headSize), kvHeads: own.natural('num_key_value_heads', kvHeads) };
      own.refuseUnread();
      return sizes;
    }
    return isGlobal ? { headSize: globalSize, kvHeads: valuesAreKeys ? globalKvHeads : kvHeads } : undefined;
  };
}
