/** OLMo 2 and 3: norms after attention and MLP instead of before, and on the queries and keys of all heads together. */
import type { ConfigFields } from '../config-fields.ts';
import type { ModelConfig } from '../model-config.ts';
import { readRotary } from '../rotary.ts';
import { type Family, layerWindows, withAttentionBias } from './family.ts';
import { type Differences, LLAMA_NAMES, llamaLike } from './llama.ts';

function olmoLike(fields: ConfigFields, differences: Differences = {}): ModelConfig {
  const config = llamaLike(fields, { epsilon: 1e-5, padTokenId: 1, ...differences });
  const norms = { beforeAttention: null, afterAttention: 'post_attention_layernorm', beforeMlp: null, afterMlp: 'post_feedforward_layernorm' };
  return withAttentionBias(
    { ...config, attention: { ...config.attention, queryKeyNorm: 'all-heads' }, names: { ...LLAMA_NAMES, norms } },
    fields.flag('attention_bias'),
  );
}

export const olmo2: Family = (fields) => olmoLike(fields);

/** Every fourth layer sees the whole text, the others a window. Only the former's positions are scaled. */
export const olmo3: Family = (fields) =>
  olmoLike(fields, {
    mixers({ layers, headSize, maxPositionTokens }) {
      const sizes = { headSize, maxPositionTokens, theta: 500_000 };
      const full = readRotary(fields, { ...sizes, layerType: 'full_attention' });
      // transformers gives a base outside `rope_parameters` to the former alone.
      const sliding = readRotary(fields, { ...sizes, thetaField: null, layerType: 'sliding_attention' });
      const window = fields.positiveOrOff('sliding_window', 4096);
      const windows = layerWindows(fields, layers, { window, rule: (layer) => (layer + 1) % 4 !== 0 });
      return windows.map((windowTokens) => ({ kind: 'attention', windowTokens, rotary: windowTokens === null ? full : sliding }));
    },
  });
