/** The repair of a wrong pre-tokenizer that Mistral once published: `_patch_mistral_regex` in transformers. */
import { type Arguments, isFilled } from './init-arguments.ts';

type Json = Record<string, unknown>;

const WORDS =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const MODELS = ['mistral', 'mistral3', 'voxtral', 'ministral', 'pixtral'];
/** Previews of version 5 count as older than it. */
const BEFORE_5 = /^5(\.0)*\.?(dev|a|b|rc)/;
/** Smaller vocabularies are older than the mistake. */
const LARGEST_UNAFFECTED_VOCABULARY = 100_000;

export const MISTRAL_WORDS_WARNING =
  "The tokenizer's pre-tokenizer may be one that Mistral published by mistake, and is used as it is. Set fix_mistral_regex to true in tokenizer_config.json to use the right one, or to false to keep this one without a warning";

interface Suspect {
  /** `config.json`. */
  model: Json;
  vocabularySize: number;
  preTokenizer: unknown;
}

/** Whether the mistake is possible: a large vocabulary in a directory that transformers 4 wrote for a Mistral model. */
export function mayHaveWrongWords({ model, vocabularySize, preTokenizer }: Suspect): boolean {
  if (vocabularySize <= LARGEST_UNAFFECTED_VOCABULARY || !preTokenizer || Object.keys(model).length === 0) return false;
  const version = String(model['transformers_version'] ?? '');
  if (Number.parseInt(version, 10) >= 5 && !BEFORE_5.test(version)) return false;
  const modelType = model['model_type'] ?? null;
  return modelType === null || MODELS.includes(String(modelType));
}

/** @returns what the directory asks for, or null if it says nothing */
export const asksForRightWords = (args: Arguments): boolean | null => {
  const value = args['fix_mistral_regex'] ?? null;
  return value === null ? null : isFilled(value);
};

/** @returns the pre-tokenizer with the right words in place of its first step, or before it */
export function withRightWords(preTokenizer: Json): Json {
  const split = { type: 'Split', pattern: { Regex: WORDS }, behavior: 'Isolated', invert: false };
  if (preTokenizer['type'] === 'Sequence') return { ...preTokenizer, pretokenizers: [split, ...(preTokenizer['pretokenizers'] as Json[]).slice(1)] };
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  return { type: 'Sequence', pretokenizers: [split, preTokenizer['type'] === 'Metaspace' ? bytes : preTokenizer] };
}
