import type { ConfigFields } from '../config-fields.ts';
import type { Activation, ModelConfig, SoftmaxAttention } from '../model-config.ts';
import type { Rotary } from '../rotary.ts';
import { shown } from '../shown.ts';

/** Reads the fields of one `model_type`, with transformers' defaults, into the decoder's configuration. */
export type Family = (fields: ConfigFields) => ModelConfig;

/** The decoder's activations by transformers' names. */
export const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
};

const DROPOUT = ['attention_dropout', 'attn_pdrop', 'resid_pdrop', 'embd_pdrop', 'hidden_dropout'];

/** @param value of any type: a description may come from anyone */
const isAboveZero = (value: unknown): boolean => typeof value !== 'object' && Number(value) > 0;

/** Fields that all families read in the same way. */
export const commonParts = (fields: ConfigFields) => ({
  dropout: DROPOUT.filter((field) => isAboveZero(fields.value(field))).map((field) => `${field} ${shown(fields.value(field))}`),
  bosTokenId: fields.tokenIds('bos_token_id')[0] ?? null,
  eosTokenIds: fields.tokenIds('eos_token_id'),
  padTokenId: fields.tokenIds('pad_token_id')[0] ?? null,
  ignored: fields.ignored,
});

/**
 * PyTorch's `padding_idx`, which counts from the end when it is negative.
 * @param options.fallback transformers' default for a file without the field
 */
export function paddingId(fields: ConfigFields, { vocabSize, fallback }: { vocabSize: number; fallback: number | null }): number | null {
  const id = fields.value('pad_token_id') ?? (fields.has('pad_token_id') ? null : fallback);
  if (!Number.isSafeInteger(id)) return null;
  return (id as number) < 0 ? vocabSize + (id as number) : (id as number);
}

/** Sets a bias on all four attention matrices, or on none. */
export function withAttentionBias(config: ModelConfig, bias: boolean): ModelConfig {
  return { ...config, attention: { ...config.attention, inputBias: bias, outputBias: bias } };
}

/** Sets a bias on queries, keys and values, or on none. */
export function withInputBias(config: ModelConfig, bias: boolean): ModelConfig {
  return { ...config, attention: { ...config.attention, inputBias: bias } };
}

/** The same attention in every layer. */
export const everyLayer = (layers: number, rotary: Rotary | null, windowTokens: number | null = null): SoftmaxAttention[] =>
  Array.from({ length: layers }, () => ({ kind: 'attention', windowTokens, rotary }));

/**
 * Which layers have rotary positions: as `no_rope_layers` says, where a 1 means that a layer has them; otherwise all but the last of every
 * `no_rope_layer_interval`.
 * @param isGiven whether the list counts; by default, if there is one
 */
export function rotatedLayers(fields: ConfigFields, layers: number, isGiven = fields.value('no_rope_layers') !== undefined): boolean[] {
  const interval = fields.natural('no_rope_layer_interval', 4);
  const flags = isGiven ? fields.numbers('no_rope_layers', layers, { more: true }) : null;
  return Array.from({ length: layers }, (_, layer) => (flags === null ? (layer + 1) % interval !== 0 : flags[layer] !== 0));
}

/** @returns the blocks' numbers in a list; undefined without it, or for a wrong one, which is then among the findings */
export function blockNumbers(fields: ConfigFields, field: string): number[] | undefined {
  const given = fields.value(field);
  if (given === undefined) return undefined;
  if (Array.isArray(given) && given.every(Number.isSafeInteger)) return given as number[];
  fields.invalid(field, given, "a list of blocks' numbers");
  return undefined;
}

/**
 * Each layer's window, null for full attention: as `layer_types` says, otherwise by the family's rule.
 * @param options.window of the sliding layers; null if the file has none
 */
export function layerWindows(
  fields: ConfigFields,
  layers: number,
  { window, rule }: { window: number | null; rule(layer: number): boolean },
): (number | null)[] {
  const types = layerTypes(fields, layers, ['full_attention', 'attention', 'sliding_attention']);
  const sliding = types?.map((type) => type === 'sliding_attention') ?? Array.from({ length: layers }, (_, layer) => rule(layer));
  if (window === null && sliding.includes(true)) fields.contradiction('layers have sliding attention, but no sliding_window is set');
  return sliding.map((slides) => (slides ? window : null));
}

/**
 * What `layer_types` says of each layer; null without it, and for a wrong one, which is then among the findings.
 * @param known the names that the family has for its layers
 */
export function layerTypes<T extends string>(fields: ConfigFields, layers: number, known: readonly T[]): T[] | null {
  const types = fields.value('layer_types');
  if (types === undefined) return null;
  if (!Array.isArray(types) || types.length !== layers) {
    fields.invalid('layer_types', types, `a list of ${layers}, one per layer`);
    return null;
  }
  for (const type of new Set<unknown>(types)) if (!known.includes(type as T)) fields.unsupported(`layer_types has ${shown(type)}`);
  return types as T[];
}
