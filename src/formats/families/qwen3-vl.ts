import { readRotary } from '../rotary.ts';
import { everyLayer, type Family, withAttentionBias } from './family.ts';
import { llamaLike } from './llama.ts';

/** Qwen 3's decoder without windows, whose frequencies are shared out over a picture's axes. */
export const qwen3VlText: Family = (fields) => {
  const config = llamaLike(fields, {
    headSize: 128,
    kvHeads: 32,
    maxPositionTokens: 128_000,
    mixers: ({ layers, headSize, maxPositionTokens }) =>
      everyLayer(layers, readRotary(fields, { headSize, maxPositionTokens, theta: 500_000, sections: true })),
  });
  return withAttentionBias({ ...config, attention: { ...config.attention, queryKeyNorm: 'head' } }, fields.flag('attention_bias'));
};
