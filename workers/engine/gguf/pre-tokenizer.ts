/** How llama.cpp splits a text into words before it merges bytes, by the name it has for that (`tokenizer.ggml.pre`). */
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
  parts: string;
  /** Whether a word that is a token is taken whole; llama.cpp ties this to the name too. Either, if it is not said. */
  ignoresMerges?: boolean;
  name: string;
  warning?: string;
}

const DIGITS_WARNING = 'llama.cpp also splits off numbers other than decimal digits (², ½), which the tokenizer joins into words.';

/** What llama.cpp's converter recognizes by the hash of one encoded text, and so for published vocabularies alone, is recognized by its rules here. */
const SPLITTERS: readonly Splitter[] = [
  { parts: 'bytes of words', name: 'gpt-2' },
  { parts: 'digits, bytes of words', name: 'smollm' },
  { parts: 'split \\p{N}, bytes of words', name: 'smollm' },
  { parts: 'split \\d, bytes of words', name: 'smollm', warning: DIGITS_WARNING },
  { parts: `split ${words('\\p{N}{1,3}')}, bytes`, ignoresMerges: true, name: 'llama-bpe' },
  { parts: `split ${words('\\p{N}{1,3}')}, bytes`, ignoresMerges: false, name: 'dbrx' },
  { parts: `split ${words('\\p{N}')}, bytes`, ignoresMerges: false, name: 'qwen2' },
  { parts: `split ${cased}|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${ENDS}, bytes`, ignoresMerges: true, name: 'tekken' },
];

/** @returns a pre-tokenizer's parts in words; null for one with a part that is not known */
function partsOf(preTokenizer: unknown): string | null {
  if (!isRecord(preTokenizer)) return null;
  switch (preTokenizer['type']) {
    case 'Sequence': {
      const parts = (preTokenizer['pretokenizers'] as unknown[]).map(partsOf);
      return parts.includes(null) ? null : parts.join(', ');
    }
    case 'ByteLevel':
      if (preTokenizer['add_prefix_space'] === true) return null;
      return preTokenizer['use_regex'] === false ? 'bytes' : 'bytes of words';
    case 'Digits':
      return preTokenizer['individual_digits'] === true ? 'digits' : null;
    case 'Split': {
      const { pattern, behavior, invert } = preTokenizer as { pattern?: Json; behavior?: string; invert?: boolean };
      return behavior === 'Isolated' && invert !== true && typeof pattern?.['Regex'] === 'string' ? `split ${pattern['Regex']}` : null;
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
  const found = SPLITTERS.find((one) => one.parts === parts && (one.ignoresMerges ?? ignoresMerges) === ignoresMerges);
  if (found !== undefined) return { name: found.name, warning: found.warning ?? null };
  throw new Refusal('unsupported_export', 'The model cannot be exported as GGUF: llama.cpp has no pre-tokenizer that splits texts like its own', {
    param: 'format',
    hint: 'Export a Hugging Face directory ("hugging_face"), or the adapter alone ("gguf_adapter") for a GGUF of the base model that you have.',
  });
}
