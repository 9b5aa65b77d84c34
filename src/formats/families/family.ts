import type { ConfigFields } from '../config-fields.ts';
import type { Activation, LayerAttention, ModelConfig } from '../model-config.ts';
import type { Rotary } from '../rotary.ts';

/** Reads the fields of one `model_type`, with transformers' defaults, into the decoder's configuration. */
export type Family = (fields: ConfigFields) => ModelConfig;

/** The decoder's activations by transformers' names. */
export const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
};

const DROPOUT = ['attention_dropout', 'attn_pdrop', 'resid_pdrop', 'embd_pdrop', 'hidden_dropout'];

/** Fields that all families read in the same way. */
export const commonParts = (fields: ConfigFields) => ({
  dropout: DROPOUT.filter((field) => Number(fields.value(field) ?? 0) > 0).map((field) => `${field} ${fields.value(field)}`),
  bosTokenId: fields.tokenIds('bos_token_id')[0] ?? null,
  eosTokenIds: fields.tokenIds('eos_token_id'),
  padTokenId: fields.tokenIds('pad_token_id')[0] ?? null,
});

/** Sets a bias on all four attention matrices, or on none. */
export function withAttentionBias(config: ModelConfig, bias: boolean): ModelConfig {
  return { ...config, attention: { ...config.attention, inputBias: bias, outputBias: bias } };
}

/** The same attention in every layer. */
export const everyLayer = (layers: number, rotary: Rotary | null, windowTokens: number | null = null): LayerAttention[] =>
  Array.from({ length: layers }, () => ({ windowTokens, rotary }));

/** Which layers have a sliding window: as `layer_types` says, otherwise by the family's rule. */
export function slidingLayers(fields: ConfigFields, layers: number, rule: (layer: number) => boolean): boolean[] {
  const types = fields.value('layer_types');
  if (types === undefined) return Array.from({ length: layers }, (_, layer) => rule(layer));
  if (!Array.isArray(types) || types.length !== layers) {
    fields.invalid('layer_types', types, `a list of ${layers}, one per layer`);
    return new Array<boolean>(layers).fill(false);
  }
  for (const type of new Set<unknown>(types)) {
    if (type !== 'full_attention' && type !== 'sliding_attention') fields.unsupported(`layer_types has ${JSON.stringify(type)}`);
  }
  return types.map((type) => type === 'sliding_attention');
}

/** Qwen and SmolLM3: windows are off unless `use_sliding_window` is set. @returns one window per layer, null for full attention */
export function optionalWindows(fields: ConfigFields, layers: number, options: { window: number | null; rule(layer: number): boolean }) {
  const on = fields.flag('use_sliding_window');
  const window = fields.positiveOrOff('sliding_window', options.window);
  return slidingLayers(fields, layers, (layer) => on && window !== null && options.rule(layer)).map((slides) => (on && slides ? window : null));
}
