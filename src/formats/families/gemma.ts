/** Gemma 1, 2 and the text model of 3: scaled embeddings, norms stored minus one, GeGLU. */
import type { ConfigFields } from '../config-fields.ts';
import type { Activation, ModelConfig } from '../model-config.ts';
import type { ModuleNames } from '../module-names.ts';
import { readRotary } from '../rotary.ts';
import { ACTIVATIONS, type Family, layerWindows, withAttentionBias } from './family.ts';
import { type Differences, LLAMA_NAMES, llamaLike } from './llama.ts';

/** The first releases of Gemma 1 say gelu but mean its tanh approximation. */
const FIRST_ACTIVATIONS: Readonly<Record<string, Activation>> = { ...ACTIVATIONS, gelu: 'gelu_tanh' };
const FALLBACK = 'gelu_pytorch_tanh';

export const FOUR_NORMS: ModuleNames['norms'] = {
  beforeAttention: 'input_layernorm',
  afterAttention: 'post_attention_layernorm',
  beforeMlp: 'pre_feedforward_layernorm',
  afterMlp: 'post_feedforward_layernorm',
};

function scaled(fields: ConfigFields, config: ModelConfig): ModelConfig {
  const embeddingScale = Math.fround(Math.sqrt(config.hiddenSize));
  return withAttentionBias({ ...config, norm: { ...config.norm, offset: 1 }, embeddingScale }, fields.flag('attention_bias'));
}

export const gemma: Family = (fields) =>
  scaled(
    fields,
    llamaLike(fields, {
      headSize: 256,
      padTokenId: 0,
      kvHeads: 16,
      maxPositionTokens: 8192,
      tiedHead: true,
      activation: { field: 'hidden_act', table: FIRST_ACTIVATIONS, fallback: FALLBACK },
    }),
  );

interface Gemma2Differences extends Required<Pick<Differences, 'maxPositionTokens' | 'mixers'>> {
  /** The caps of a file without the fields; `ignored` if transformers does not apply one whatever the file says. */
  softCaps: { scores: number | 'ignored'; logits: number | null };
}

/** Norms before and after attention and MLP, a configured attention scale, soft caps. */
function gemma2Like(fields: ConfigFields, { softCaps, ...differences }: Gemma2Differences): ModelConfig {
  fields.value('hidden_act'); // files of transformers 4 also have this field, which has no effect
  const config = scaled(
    fields,
    llamaLike(fields, {
      headSize: 256,
      padTokenId: 0,
      kvHeads: 4,
      tiedHead: true,
      activation: { field: 'hidden_activation', table: ACTIVATIONS, fallback: FALLBACK },
      ...differences,
    }),
  );
  const scale = fields.positive('query_pre_attn_scalar', 256) ** -0.5;
  if (softCaps.scores === 'ignored') fields.ignore('attn_logit_softcapping');
  const softCap = softCaps.scores === 'ignored' ? null : fields.positiveOrOff('attn_logit_softcapping', softCaps.scores);
  return {
    ...config,
    attention: { ...config.attention, scale, softCap },
    logitSoftCap: fields.positiveOrOff('final_logit_softcapping', softCaps.logits),
    names: { ...LLAMA_NAMES, norms: FOUR_NORMS },
  };
}

/** Every other layer has a sliding window. */
export const gemma2: Family = (fields) =>
  gemma2Like(fields, {
    maxPositionTokens: 8192,
    softCaps: { scores: 50, logits: 30 },
    mixers({ layers, rotary }) {
      const rope = rotary();
      const window = fields.positiveOrOff('sliding_window', 4096);
      const windows = layerWindows(fields, layers, { window, rule: (layer) => (layer + 1) % 2 !== 0 });
      return windows.map((windowTokens) => ({ kind: 'attention', windowTokens, rotary: rope }));
    },
  });

/** Norms on queries and keys; layers with a sliding window have a different RoPE base from those with full attention. */
export const gemma3: Family = (fields) => {
  const period = fields.natural('sliding_window_pattern', 6);
  const config = gemma2Like(fields, {
    maxPositionTokens: 131_072,
    softCaps: { scores: 'ignored', logits: null },
    mixers({ layers, headSize, maxPositionTokens }) {
      const sizes = { headSize, maxPositionTokens };
      const global = readRotary(fields, { ...sizes, theta: 1_000_000, layerType: 'full_attention' });
      const local = readRotary(fields, { ...sizes, theta: 10_000, thetaField: 'rope_local_base_freq', layerType: 'sliding_attention' });
      const window = fields.positiveOrOff('sliding_window', 4096);
      const windows = layerWindows(fields, layers, { window, rule: (layer) => (layer + 1) % period !== 0 });
      return windows.map((windowTokens) => ({ kind: 'attention', windowTokens, rotary: windowTokens === null ? global : local }));
    },
  });
  return { ...config, attention: { ...config.attention, queryKeyNorm: 'head' } };
};
