/** The rotary positions of a model in GGUF as config.json's `rope_parameters`: what `rotary.ts` writes, read back. */
import { rotaryFrequencies } from '../model/rotary-frequencies.ts';
import type { ModelKeys } from './model-keys.ts';

type Json = Record<string, unknown>;

const DEFAULT_THETA = 10_000;

export function ropeParametersOf(keys: ModelKeys, modelType: string): Json {
  const { number, optional } = keys;
  const theta = optional(number, 'rope.freq_base', DEFAULT_THETA);
  const full = { rope_theta: theta, ...scalingOf(keys, theta) };
  if (modelType !== 'gemma3_text') return full;
  return { full_attention: full, sliding_attention: { rope_type: 'default', rope_theta: optional(number, 'rope.freq_base_swa', DEFAULT_THETA) } };
}

function scalingOf(keys: ModelKeys, theta: number): Json {
  const { natural, number, text, required, optional, values } = keys;
  const [long, short] = [values('rope_factors_long.weight'), values('rope_factors_short.weight')];
  if (long !== null && short !== null)
    return {
      rope_type: 'longrope',
      long_factor: [...long],
      short_factor: [...short],
      ...(keys.number('rope.scaling.attn_factor') !== null && { attention_factor: keys.number('rope.scaling.attn_factor') }),
    };
  const factors = values('rope_freqs.weight');
  if (factors !== null) return { rope_type: 'llama3', ...llama3Of(factors, theta, keys) };
  const type = optional(text, 'rope.scaling.type', 'none');
  switch (type) {
    case 'none':
      return { rope_type: 'default' };
    case 'linear':
      return { rope_type: 'linear', factor: required(number, 'rope.scaling.factor') };
    case 'yarn': {
      const factor = required(number, 'rope.scaling.factor');
      return {
        rope_type: 'yarn',
        factor,
        original_max_position_embeddings: required(natural, 'rope.scaling.original_context_length'),
        attention_factor: optional(number, 'rope.scaling.yarn_attn_factor', 1) * (0.1 * Math.log(factor) + 1),
        beta_fast: optional(number, 'rope.scaling.yarn_beta_fast', 32),
        beta_slow: optional(number, 'rope.scaling.yarn_beta_slow', 1),
      };
    }
    default:
      throw keys.wrong(`its rotary positions are scaled by ${JSON.stringify(type.slice(0, 60))}`);
  }
}

/** The original context of Llama 3. The file does not tell it: factors depend on the products of it and 1 / low and 1 / high alone. */
const LLAMA3_CONTEXT = 8192;
/** Largest relative difference between the factors in the file and those of the settings found. */
const MAX_DIFFERENCE = 1e-4;

/**
 * Llama 3's scaling by its factors. With t full turns within the original context, a pair's frequency is divided by 1 / ((1 − s) / factor + s), where
 * s = (t − low) / (high − low), cut to 0 … 1: two pairs in between tell low and high.
 */
function llama3Of(factors: Float32Array, theta: number, keys: ModelKeys): Json {
  const dimensions = 2 * factors.length;
  const factor = rounded(Math.max(...factors));
  const turns = rotaryFrequencies({ theta, dimensions, scaling: null }).map((frequency) => (LLAMA3_CONTEXT * frequency) / (2 * Math.PI));
  const between = [...factors].flatMap((value, i) => {
    const smooth = (1 / value - 1 / factor) / (1 - 1 / factor);
    return smooth > 1e-3 && smooth < 1 - 1e-3 ? [{ smooth, turns: turns[i]! }] : [];
  });
  const [first, last] = [between[0], between.at(-1)];
  const slope = first === undefined || first === last ? 1 / 3 : (first.smooth - last!.smooth) / (first.turns - last!.turns);
  const low = first === undefined || first === last ? 1 : first.turns - first.smooth / slope;
  const scaling = {
    type: 'llama3' as const,
    factor,
    lowFrequencyFactor: rounded(low),
    highFrequencyFactor: rounded(low + 1 / slope),
    originalMaxPositionTokens: LLAMA3_CONTEXT,
  };
  const [plain, scaled] = [rotaryFrequencies({ theta, dimensions, scaling: null }), rotaryFrequencies({ theta, dimensions, scaling })];
  const isFar = [...factors].some((value, i) => !(Math.abs(plain[i]! / scaled[i]! - value) <= MAX_DIFFERENCE * value));
  if (isFar) throw keys.wrong('the factors of rope_freqs.weight are not those of Llama 3');
  return {
    factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: LLAMA3_CONTEXT,
  };
}

/** Factors are stored in f32, whose last digits are not the settings'. */
const rounded = (value: number): number => Number(value.toPrecision(5));
