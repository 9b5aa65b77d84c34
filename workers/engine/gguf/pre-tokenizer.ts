/** How llama.cpp splits a text into words before it merges bytes, by the name it has for that (`tokenizer.ggml.pre`). */
import { isDeepStrictEqual } from 'node:util';
import { isRecord } from '../../../src/formats/record.ts';
import { Refusal } from '../../../src/formats/refusal.ts';

type Json = Record<string, unknown>;

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const ENDS = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const words = (numbers: string): string => `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${ENDS}`;
const [UPPER, LOWER] = ['[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]', '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'];
const cased = `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*`;

interface Splitter {
  /** The pre-tokenizer's parts, as `partsOf` writes them. */
  parts: readonly string[];
  /** Whether a word that is a token is taken whole; llama.cpp ties this to the name too. Either, if it is not said. */
  ignoresMerges?: boolean;
  name: string;
  /** Other names of llama.cpp for the same. */
  aliases?: readonly string[];
  /** Whether llama.cpp puts bos before a text if the file does not say. */
  addsBos?: true;
  /** Whether the tokenizers that are recognized by this name bring texts into Unicode NFC first, which llama.cpp does not. */
  normalizes?: true;
  warning?: string;
}

const DIGITS_WARNING = 'llama.cpp also splits off numbers other than decimal digits (², ½), which the tokenizer joins into words.';

/** What llama.cpp's converter recognizes by the hash of one encoded text, and so for published vocabularies alone, is recognized by its rules here. */
const SPLITTERS: readonly Splitter[] = [
  { parts: ['bytes of words'], name: 'gpt-2', aliases: ['olmo', 'phi-2', 'mpt'] },
  { parts: ['digits', 'bytes of words'], name: 'smollm', aliases: ['starcoder', 'refact', 'codeshell'] },
  { parts: ['split \\p{N}', 'bytes of words'], name: 'smollm' },
  { parts: ['split \\d', 'bytes of words'], name: 'smollm', warning: DIGITS_WARNING },
  {
    parts: [`split ${words('\\p{N}{1,3}')}`, 'bytes'],
    ignoresMerges: true,
    name: 'llama-bpe',
    aliases: ['llama3', 'llama-v3', 'falcon3', 'falcon-h1', 'pixtral'],
    addsBos: true,
  },
  { parts: [`split ${words('\\p{N}{1,3}')}`, 'bytes'], ignoresMerges: false, name: 'dbrx', aliases: ['smaug-bpe'] },
  {
    parts: [`split ${words('\\p{N}')}`, 'bytes'],
    ignoresMerges: false,
    name: 'qwen2',
    aliases: ['deepseek-r1-qwen', 'megrez'],
    normalizes: true,
  },
  {
    parts: [`split ${cased}|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${ENDS}`, 'bytes'],
    ignoresMerges: true,
    name: 'tekken',
    addsBos: true,
  },
];

/** What a name of llama.cpp means. */
export const splitterNamed = (name: string): Splitter | null =>
  SPLITTERS.find((one) => one.name === name || one.aliases?.includes(name) === true) ?? null;
export const SPLITTER_NAMES: readonly string[] = [...new Set(SPLITTERS.flatMap(({ name, aliases = [] }) => [name, ...aliases]))];

/** @returns the pre-tokenizer of a tokenizer.json */
export function preTokenizerFrom({ parts }: Splitter): Json {
  const pretokenizers = parts.map((part): Json => {
    if (part === 'digits') return { type: 'Digits', individual_digits: true };
    if (part.startsWith('bytes')) return { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: part === 'bytes of words' };
    return { type: 'Split', pattern: { Regex: part.slice('split '.length) }, behavior: 'Isolated', invert: false };
  });
  return pretokenizers.length === 1 ? pretokenizers[0]! : { type: 'Sequence', pretokenizers };
}

/** @returns a pre-tokenizer's parts in words; null for one with a part that is not known */
function partsOf(preTokenizer: unknown): string[] | null {
  if (!isRecord(preTokenizer)) return null;
  switch (preTokenizer['type']) {
    case 'Sequence': {
      const parts = (preTokenizer['pretokenizers'] as unknown[]).map(partsOf);
      return parts.includes(null) ? null : (parts as string[][]).flat();
    }
    case 'ByteLevel':
      if (preTokenizer['add_prefix_space'] === true) return null;
      return [preTokenizer['use_regex'] === false ? 'bytes' : 'bytes of words'];
    case 'Digits':
      return preTokenizer['individual_digits'] === true ? ['digits'] : null;
    case 'Split': {
      const { pattern, behavior, invert } = preTokenizer as { pattern?: Json; behavior?: string; invert?: boolean };
      return behavior === 'Isolated' && invert !== true && typeof pattern?.['Regex'] === 'string' ? [`split ${pattern['Regex']}`] : null;
    }
    default:
      return null;
  }
}

/**
 * @param tokenizer a tokenizer.json with bytes as its smallest tokens
 * @throws Refusal `unsupported_export` for one that llama.cpp cannot reproduce
 */
export function preTokenizerOf(tokenizer: Json): { name: string; warning: string | null } {
  const parts = partsOf(tokenizer['pre_tokenizer']);
  const ignoresMerges = isRecord(tokenizer['model']) && tokenizer['model']['ignore_merges'] === true;
  const found = SPLITTERS.find((one) => isDeepStrictEqual(one.parts, parts) && (one.ignoresMerges ?? ignoresMerges) === ignoresMerges);
  if (found !== undefined) return { name: found.name, warning: found.warning ?? null };
  throw new Refusal('unsupported_export', 'The model cannot be exported as GGUF: llama.cpp has no pre-tokenizer that splits texts like its own', {
    param: 'format',
    hint: 'Export a Hugging Face directory ("hugging_face"), or the adapter alone ("gguf_adapter") for a GGUF of the base model that you have.',
  });
}
