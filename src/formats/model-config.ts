/**
 * What a Hugging Face `config.json` says about the shape of a decoder-only transformer. Families differ in configuration, not in code:
 * a family is a row of `FAMILIES` and whatever fields its row turns on.
 */
import { InputError } from './input-error.ts';

/** Rotary positions stretched past the length a model was trained with. */
export type RopeScaling =
  | { type: 'linear'; factor: number }
  /** Llama 3.1: low frequencies are stretched, high ones are not, those between are blended. */
  | { type: 'llama3'; factor: number; lowFrequencyFactor: number; highFrequencyFactor: number; originalMaxPositionTokens: number };

export interface ModelConfig {
  modelType: 'llama';
  hiddenSize: number;
  layers: number;
  heads: number;
  /** Key and value heads; heads / kvHeads query heads share one (grouped-query attention). */
  kvHeads: number;
  headSize: number;
  intermediateSize: number;
  vocabSize: number;
  maxPositionTokens: number;
  /** ε of RMSNorm. */
  normEpsilon: number;
  ropeTheta: number;
  ropeScaling: RopeScaling | null;
  /** The language-model head is the embedding matrix. */
  tiedHead: boolean;
  attentionBias: boolean;
  mlpBias: boolean;
  activation: 'silu';
  bosTokenId: number | null;
  eosTokenIds: number[];
  padTokenId: number | null;
}

/** The families the decoder computes, by `model_type`. */
const FAMILIES = ['llama'] as const;

type Json = Record<string, unknown>;
const isRecord = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Reads transformers' `config.json`, in the form of version 4 (`rope_theta`, `rope_scaling`, `torch_dtype`) and of version 5
 * (`rope_parameters`, `dtype`).
 * @param json  the parsed file
 * @param where its path, for messages
 * @throws InputError `unsupported_architecture` when the maths it asks for is not ours; `corrupt_model_file` when a field is missing or no number
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  if (!isRecord(json)) throw new InputError('corrupt_model_file', `${where} is not a JSON object`, { param: 'model' });
  const problems: string[] = [];
  refuseUnsupported(json, where);

  const natural = (field: string, fallback?: number): number => {
    const value = json[field] ?? fallback;
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    problems.push(`${field} is ${JSON.stringify(value) ?? 'missing'}, not a positive whole number`);
    return 1;
  };
  const positive = (from: Json, field: string, fallback?: number): number => {
    const value = from[field] ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    problems.push(`${field} is ${JSON.stringify(value) ?? 'missing'}, not a positive number`);
    return 1;
  };
  const flag = (field: string): boolean => {
    const value = json[field] ?? false;
    if (typeof value !== 'boolean') problems.push(`${field} is ${JSON.stringify(value)}, not true or false`);
    return value === true;
  };
  const tokenIds = (field: string): number[] => {
    const value = json[field] ?? [];
    return (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isSafeInteger(id) && id >= 0);
  };

  const hiddenSize = natural('hidden_size');
  const heads = natural('num_attention_heads');
  const maxPositionTokens = natural('max_position_embeddings', 2048);
  const rope = ropeParameters(json);
  const config: ModelConfig = {
    modelType: 'llama',
    hiddenSize,
    layers: natural('num_hidden_layers'),
    heads,
    kvHeads: natural('num_key_value_heads', heads),
    headSize: natural('head_dim', Math.floor(hiddenSize / heads)),
    intermediateSize: natural('intermediate_size'),
    vocabSize: natural('vocab_size'),
    maxPositionTokens,
    normEpsilon: positive(json, 'rms_norm_eps', 1e-6),
    ropeTheta: positive({ rope_theta: rope['rope_theta'] ?? json['rope_theta'] }, 'rope_theta', 10_000),
    ropeScaling: ropeScaling(rope, where, (field) => positive(rope, field)),
    tiedHead: flag('tie_word_embeddings'),
    attentionBias: flag('attention_bias'),
    mlpBias: flag('mlp_bias'),
    activation: 'silu',
    bosTokenId: tokenIds('bos_token_id')[0] ?? null,
    eosTokenIds: tokenIds('eos_token_id'),
    padTokenId: tokenIds('pad_token_id')[0] ?? null,
  };
  if (config.heads % config.kvHeads !== 0) {
    problems.push(`num_attention_heads (${config.heads}) is not a multiple of num_key_value_heads (${config.kvHeads})`);
  }
  if (config.headSize % 2 !== 0) problems.push(`head_dim (${config.headSize}) is odd; rotary positions need pairs`);
  if (problems.length > 0) throw new InputError('corrupt_model_file', `${where}: ${problems.join('; ')}`, { param: 'model' });
  return config;
}

/** Throws for every field that would change the maths into something the decoder does not compute. */
function refuseUnsupported(json: Json, where: string): void {
  const refused: string[] = [];
  const modelType = json['model_type'];
  if (!FAMILIES.some((family) => family === modelType)) refused.push(`model_type is ${JSON.stringify(modelType) ?? 'missing'}`);
  const onlyValue = (field: string, allowed: unknown, fallback: unknown = allowed): void => {
    const value = json[field] ?? fallback;
    if (value !== allowed) refused.push(`${field} is ${JSON.stringify(value)}, not ${JSON.stringify(allowed)}`);
  };
  onlyValue('hidden_act', 'silu');
  onlyValue('pretraining_tp', 1);
  onlyValue('sliding_window', null, null);
  onlyValue('quantization_config', null, null);
  if (refused.length === 0) return;
  throw new InputError('unsupported_architecture', `${where}: ${refused.join('; ')}`, {
    param: 'model',
    hint: `Families computed: ${FAMILIES.join(', ')}, with hidden_act silu, unquantised.`,
  });
}

/** transformers 5 keeps one object; 4 keeps `rope_scaling` and leaves theta beside it. */
function ropeParameters(json: Json): Json {
  const found = json['rope_parameters'] ?? json['rope_scaling'];
  return isRecord(found) ? found : {};
}

function ropeScaling(rope: Json, where: string, positive: (field: string) => number): RopeScaling | null {
  const type = rope['rope_type'] ?? rope['type'] ?? 'default';
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { type: 'linear', factor: positive('factor') };
    case 'llama3':
      return {
        type: 'llama3',
        factor: positive('factor'),
        lowFrequencyFactor: positive('low_freq_factor'),
        highFrequencyFactor: positive('high_freq_factor'),
        originalMaxPositionTokens: positive('original_max_position_embeddings'),
      };
    default:
      throw new InputError('unsupported_architecture', `${where}: rope_type is ${JSON.stringify(type)}`, {
        param: 'model',
        hint: 'Rotary scalings computed: default, linear, llama3.',
      });
  }
}
