/** Names of the files in Hugging Face model directories and PEFT adapter directories. */
import { isRecord } from './record.ts';
import { shown } from './shown.ts';

export const CONFIG_FILE = 'config.json';
/** Limit on config.json and the index of the weights, which are read whole; those of the largest models have one MB. */
export const MAX_JSON_BYTES = 16 * 1024 * 1024;
/** The weights in one file. Larger models have shards, listed in the index. */
export const WEIGHTS_FILE = 'model.safetensors';
export const WEIGHTS_INDEX_FILE = 'model.safetensors.index.json';
export const TOKENIZER_FILE = 'tokenizer.json';
/** What older tokenizers of the byte-level kind (GPT-2, Qwen 2) have instead of a TOKENIZER_FILE, which is made of them. */
export const VOCABULARY_FILE = 'vocab.json';
export const MERGES_FILE = 'merges.txt';
export const VOCABULARY_FILES: readonly string[] = [VOCABULARY_FILE, MERGES_FILE];
export const TOKENIZER_CONFIG_FILE = 'tokenizer_config.json';
export const SPECIAL_TOKENS_FILE = 'special_tokens_map.json';
export const GENERATION_CONFIG_FILE = 'generation_config.json';
export const CHAT_TEMPLATE_FILE = 'chat_template.jinja';
/** Folder of further chat templates, `NAME.jinja` each. */
export const ADDITIONAL_TEMPLATES_DIR = 'additional_chat_templates';
export const TEMPLATE_EXTENSION = '.jinja';

/** Files that may accompany config and weights: generation defaults, the tokenizer in its several forms, the chat template, how images are prepared. */
export const COMPANION_FILES: readonly string[] = [
  ...[GENERATION_CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, SPECIAL_TOKENS_FILE, 'added_tokens.json', ...VOCABULARY_FILES],
  ...['tokenizer.model', CHAT_TEMPLATE_FILE, 'chat_template.json'],
  ...['preprocessor_config.json', 'processor_config.json', 'video_preprocessor_config.json'],
];

export const ADAPTER_CONFIG_FILE = 'adapter_config.json';
export const ADAPTER_WEIGHTS_FILE = 'adapter_model.safetensors';

const SHARD = /^[\w.-]+\.safetensors$/;

/**
 * @param index a parsed WEIGHTS_INDEX_FILE
 * @returns the shards that it names, or what is wrong with it, to follow the index's name in a message: `names …`
 */
export function shardsOf(index: unknown): { shards: string[] } | { problem: string } {
  const map = isRecord(index) ? index['weight_map'] : undefined;
  const names = isRecord(map) ? [...new Set(Object.values(map))] : [];
  if (names.length === 0) return { problem: 'names no file' };
  const wrong = names.find((name) => typeof name !== 'string' || !SHARD.test(name));
  return wrong === undefined ? { shards: names as string[] } : { problem: `names ${shown(wrong)}, which is not a safetensors file beside it` };
}
