/** The config.json of a model in GGUF: its metadata under the names of transformers. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { parseModelConfig } from '../../../src/formats/parse-model-config.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { shown } from '../../../src/formats/shown.ts';
import { ARCHITECTURES, type Architecture, architectureOf, familyNamed } from './architecture.ts';
import { keysOf, type ModelKeys } from './model-keys.ts';
import type { GgufFile } from './read-file.ts';
import { ropeParametersOf } from './rope-parameters.ts';
import type { MetadataValue } from './write-file.ts';

type Json = Record<string, unknown>;

export interface ReadConfig {
  /** What config.json holds, but for the type of the weights. */
  json: Json;
  /** What the engine makes of it. */
  config: ModelConfig;
  /** How a file of this model is written. */
  architecture: Architecture;
}

/** @throws Refusal `unsupported_architecture` that names the architecture, or what in its metadata is not understood */
export function configOf(file: GgufFile): ReadConfig {
  const { metadata, path } = file;
  const parts = metadata.natural('split.count') ?? 1;
  if (parts > 1)
    throw unsupported(path, `is one of ${parts} parts of a model`, 'Put them together: `llama-gguf-split --merge FIRST-PART MODEL.gguf`.');
  const name = metadata.required('general.architecture', metadata.text('general.architecture'));
  const type = metadata.text('general.type') ?? 'model';
  if (type !== 'model') throw unsupported(path, `holds no model: general.type is ${shown(type)}`, 'Give the GGUF file of the model itself.');
  const family = familyNamed(name);
  if (family === null)
    throw unsupported(
      path,
      `has the architecture ${shown(name)}`,
      `GGUF files of these are read: ${ARCHITECTURES.join(', ')}. Others are read as Hugging Face directories.`,
    );
  const keys = keysOf(file, name);
  const json = { ...jsonOf(family.modelType, keys, family.windowPeriod), ...tokenIds(file) };
  const config = parseModelConfig(json, path);
  const architecture = written(config, path);
  checkMetadata(keys, architecture, path);
  return { json, config, architecture };
}

const unsupported = (path: string, what: string, hint: string): Refusal =>
  new Refusal('unsupported_architecture', `${path} ${what}`, { param: 'model', hint });

/** How a file of such a model is written, which is refused where llama.cpp computes another one. */
function written(config: ModelConfig, path: string): Architecture {
  try {
    return architectureOf(config);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw unsupported(path, `is not computed by the engine as by llama.cpp: ${error.message.split(': ').slice(1).join(': ')}`, ORIGINAL);
  }
}

const ORIGINAL = 'Use the Hugging Face directory that the file was made from.';

function tokenIds({ metadata }: GgufFile): Json {
  const id = (name: string) => metadata.natural(`tokenizer.ggml.${name}_token_id`);
  return { bos_token_id: id('bos'), eos_token_id: id('eos'), pad_token_id: id('padding') };
}

/** Fields that transformers takes as floats alone, so that a whole number must be written with its point. */
const FLOATS = [
  ...['attn_logit_softcapping', 'final_logit_softcapping', 'partial_rotary_factor', 'rotary_pct', 'rope_theta', 'factor', 'attention_factor'],
  ...['beta_fast', 'beta_slow', 'low_freq_factor', 'high_freq_factor'],
];
const WHOLE_FLOAT = new RegExp(`^( *"(?:${FLOATS.join('|')})": \\d+)(,?)$`, 'gm');

/** @returns config.json, as Python reads it */
export const configText = (json: Json): string => `${JSON.stringify(json, null, 2).replace(WHOLE_FLOAT, '$1.0$2')}\n`;

/** transformers' classes by `model_type`: other programs look a model up by them. */
const CLASSES: Readonly<Record<string, string>> = {
  ...{ llama: 'LlamaForCausalLM', smollm3: 'SmolLM3ForCausalLM', qwen2: 'Qwen2ForCausalLM', qwen3: 'Qwen3ForCausalLM', phi3: 'Phi3ForCausalLM' },
  ...{ gemma: 'GemmaForCausalLM', gemma2: 'Gemma2ForCausalLM', gemma3_text: 'Gemma3ForCausalLM', olmo2: 'Olmo2ForCausalLM' },
  ...{ gpt2: 'GPT2LMHeadModel', gpt_neox: 'GPTNeoXForCausalLM' },
};

/** The fields of all families but GPT-2, and what each family adds. */
function jsonOf(modelType: string, keys: ModelKeys, windowPeriod: number | null): Json {
  const { natural, number, required, optional } = keys;
  const hidden = required(natural, 'embedding_length');
  const layers = required(natural, 'block_count');
  const heads = required(natural, 'attention.head_count');
  const common = {
    architectures: [CLASSES[modelType]],
    model_type: modelType,
    vocab_size: keys.vocabSize,
    max_position_embeddings: required(natural, 'context_length'),
    tie_word_embeddings: !keys.has('output.weight'),
  };
  const epsilon = (kind: '' | '_rms') => required(number, `attention.layer_norm${kind}_epsilon`);
  const intermediate = required(natural, 'feed_forward_length');
  if (modelType === 'gpt2') {
    const { max_position_embeddings: positions, ...rest } = common;
    return {
      ...rest,
      n_positions: positions,
      n_embd: hidden,
      n_layer: layers,
      n_head: heads,
      n_inner: intermediate,
      layer_norm_epsilon: epsilon(''),
    };
  }
  const headSize = keys.headSize;
  const sizes = { ...common, hidden_size: hidden, num_hidden_layers: layers, num_attention_heads: heads, intermediate_size: intermediate };
  if (modelType === 'gpt_neox')
    return {
      ...sizes,
      layer_norm_eps: epsilon(''),
      rope_parameters: ropeParametersOf(keys, modelType),
      rotary_pct: optional(natural, 'rope.dimension_count', headSize) / headSize,
      use_parallel_residual: optional(keys.flag, 'use_parallel_residual', true),
    };
  const decoder = {
    ...sizes,
    num_key_value_heads: optional(natural, 'attention.head_count_kv', heads),
    head_dim: headSize,
    rms_norm_eps: epsilon('_rms'),
    rope_parameters: ropeParametersOf(keys, modelType),
  };
  if (modelType.startsWith('gemma')) return { ...decoder, ...gemmaFields(modelType, keys, windowPeriod) };
  if (modelType === 'phi3') return { ...decoder, ...phi3Fields(keys) };
  const hasBias = (layer: string) => keys.has(`blk.0.${layer}.bias`);
  if (modelType === 'llama' || modelType === 'smollm3') return { ...decoder, attention_bias: hasBias('attn_q'), mlp_bias: hasBias('ffn_up') };
  return decoder;
}

/** Layers of the models of 27 billion parameters, by which llama.cpp knows that their attention is scaled by the width of the model. */
const LARGEST_GEMMA: Readonly<Record<string, number>> = { gemma2: 46, gemma3_text: 62 };

function gemmaFields(modelType: string, keys: ModelKeys, windowPeriod: number | null): Json {
  if (windowPeriod === null) return { hidden_act: 'gelu_pytorch_tanh' };
  const { natural, number, required, optional } = keys;
  const [layers, heads] = [required(natural, 'block_count'), required(natural, 'attention.head_count')];
  const isLargest = LARGEST_GEMMA[modelType] === layers;
  const cap = (name: string, usual: number): Json => ({
    [name]: modelType === 'gemma2' ? optional(number, name, usual) : optional(number, name, null),
  });
  return {
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: isLargest ? required(natural, 'embedding_length') / heads : keys.headSize,
    sliding_window: required(natural, 'attention.sliding_window'),
    layer_types: Array.from({ length: layers }, (_, layer) => ((layer + 1) % windowPeriod === 0 ? 'full_attention' : 'sliding_attention')),
    ...(modelType === 'gemma2' && cap('attn_logit_softcapping', 50)),
    ...cap('final_logit_softcapping', 30),
  };
}

function phi3Fields({ natural, optional, headSize }: ModelKeys): Json {
  return {
    original_max_position_embeddings: optional(natural, 'rope.scaling.original_context_length', null) ?? optional(natural, 'context_length', null),
    partial_rotary_factor: optional(natural, 'rope.dimension_count', headSize) / headSize,
    // llama.cpp computes no windows in this family, but the files say which the model was trained with.
    sliding_window: optional(natural, 'attention.sliding_window', 0) || null,
  };
}

/** What a reader does not need, or what is said in another place too. */
const NOT_COMPARED = ['context_length', 'vocab_size', 'rope.scaling.finetuned', 'rope.scaling.attn_factor', 'tensor_data_layout', 'attention.causal'];

/** Every key of the architecture must be one that is written for such a model, with the same value: what is not understood may change the maths. */
function checkMetadata(keys: ModelKeys, { name, hyperparameters }: Architecture, path: string): void {
  const problems: string[] = [];
  for (const key of keys.own) {
    const short = key.slice(name.length + 1);
    if (NOT_COMPARED.includes(short) || (name === 'phi3' && short === 'attention.sliding_window')) continue;
    const [written, found] = [hyperparameters.get(key), keys.scalar(key)];
    if (written === undefined ? !isOff(found) : !isSame(written, found)) problems.push(`${key} is ${found === null ? 'a list' : shown(found)}`);
  }
  if (problems.length > 0) throw unsupported(path, `describes a model that is not computed as it asks: ${problems.join('; ')}`, ORIGINAL);
}

const isOff = (value: unknown): boolean => value === 0 || value === false || value === 'none';

function isSame(written: MetadataValue, found: unknown): boolean {
  if ('f32' in written) return typeof found === 'number' && Math.abs(Math.fround(written.f32) - found) <= 1e-6 * Math.abs(found);
  return Object.values(written)[0] === found;
}
