/**
 * Classes of transformers 5 that take vocabulary, merges and post-processor from the directory and build the rest anew: normalizer, pre-tokenizer,
 * decoder and the options of the BPE. Each is `models/NAME/tokenization_NAME.py` in transformers, in the form of a tokenizer.json.
 */
import { badTokenizer } from './bad-tokenizer.ts';
import { type Arguments, isFilled } from './init-arguments.ts';
import type { RebuiltClass } from './tokenizer-class.ts';

type Json = Record<string, unknown>;

/** What replaces the same keys of tokenizer.json. */
export interface Pipeline {
  normalizer: Json | null;
  pre_tokenizer: Json;
  decoder: Json;
  /** Options of the BPE, without vocabulary and merges. */
  model: Json;
}

interface Rebuilt {
  /** Arguments that hold where the directory gives none. null is a value: it means that there is no such token. */
  defaults: Arguments;
  pipeline(args: Arguments): Pipeline;
}

const SPACE = '▁';
const NFC = { type: 'NFC' };
const BPE = { type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, ignore_merges: false };
const BYTE_LEVEL_BPE = { ...BPE, continuing_subword_prefix: '', end_of_word_suffix: '', fuse_unk: false, byte_fallback: false };
const SENTENCE_PIECE_BPE = { ...BPE, fuse_unk: true, byte_fallback: true };
const BYTE_LEVEL_DECODER = byteLevel(true);

const END_OF_TEXT = '<|endoftext|>';
const GPT_TOKENS = { unk_token: END_OF_TEXT, bos_token: END_OF_TEXT, eos_token: END_OF_TEXT };
const QWEN_TOKENS = { unk_token: END_OF_TEXT, bos_token: null, eos_token: END_OF_TEXT, pad_token: END_OF_TEXT };
const LLAMA_TOKENS = { unk_token: '<unk>', bos_token: '<s>', eos_token: '</s>' };

// How text is split into words; Qwen 3.5 counts combining marks as letters.
const QWEN_2_WORDS =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const QWEN_3_5_WORDS =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

export const REBUILT_CLASSES: Readonly<Record<RebuiltClass, Rebuilt>> = {
  LlamaTokenizer: {
    defaults: { ...LLAMA_TOKENS, legacy: false },
    pipeline: ({ add_prefix_space, legacy }) => {
      const prefix = add_prefix_space === undefined || add_prefix_space === null || isFilled(add_prefix_space);
      // Until transformers 4.34 a ▁ was also put after each special token; `legacy` asks for that.
      const scheme = isFilled(legacy) ? 'always' : 'first';
      return {
        normalizer: null,
        pre_tokenizer: metaspace(prefix ? scheme : 'never'),
        decoder: sentencePieceDecoder(prefix),
        model: SENTENCE_PIECE_BPE,
      };
    },
  },
  CodeLlamaTokenizer: {
    defaults: {
      ...LLAMA_TOKENS,
      ...{ prefix_token: '▁<PRE>', middle_token: '▁<MID>', suffix_token: '▁<SUF>', eot_token: '▁<EOT>', fill_token: '<FILL_ME>' },
      add_bos_token: true,
    },
    pipeline: ({ add_prefix_space, unk_token }) => ({
      normalizer: null,
      pre_tokenizer: metaspace(add_prefix_space === undefined || add_prefix_space === null || isFilled(add_prefix_space) ? 'first' : 'never'),
      decoder: sentencePieceDecoder(true),
      model: { ...SENTENCE_PIECE_BPE, unk_token: text(unk_token) },
    }),
  },
  GemmaTokenizer: {
    defaults: { unk_token: '<unk>', bos_token: '<bos>', eos_token: '<eos>', pad_token: '<pad>', mask_token: '<mask>' },
    pipeline: ({ unk_token }) => ({
      normalizer: { type: 'Replace', pattern: { String: ' ' }, content: SPACE },
      pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false },
      decoder: sentencePieceDecoder(false),
      model: { ...SENTENCE_PIECE_BPE, unk_token: text(unk_token) },
    }),
  },
  Qwen2Tokenizer: { defaults: QWEN_TOKENS, pipeline: (args) => qwen(args, QWEN_2_WORDS) },
  Qwen3_5Tokenizer: { defaults: QWEN_TOKENS, pipeline: (args) => qwen(args, QWEN_3_5_WORDS) },
  GPT2Tokenizer: {
    defaults: { ...GPT_TOKENS, pad_token: null, add_prefix_space: false },
    pipeline: ({ add_prefix_space }) => ({
      normalizer: null,
      pre_tokenizer: byteLevel(flag('add_prefix_space', add_prefix_space)),
      decoder: BYTE_LEVEL_DECODER,
      model: BYTE_LEVEL_BPE,
    }),
  },
  GPTNeoXTokenizer: {
    defaults: { ...GPT_TOKENS, pad_token: '<|padding|>', add_prefix_space: false, trim_offsets: true },
    pipeline: ({ add_prefix_space, trim_offsets }) => ({
      normalizer: NFC,
      pre_tokenizer: byteLevel(flag('add_prefix_space', add_prefix_space), { trimOffsets: flag('trim_offsets', trim_offsets) }),
      decoder: BYTE_LEVEL_DECODER,
      model: BYTE_LEVEL_BPE,
    }),
  },
};

/** Classes that can do with `vocab.json` and `merges.txt`; from them, Python's others make a tokenizer of three tokens. */
export const READS_VOCABULARY: readonly string[] = ['Qwen2Tokenizer', 'GPT2Tokenizer', 'GPTNeoXTokenizer'];

function qwen({ add_prefix_space }: Arguments, words: string): Pipeline {
  const prefix = flag('add_prefix_space', add_prefix_space ?? false);
  const split = { type: 'Split', pattern: { Regex: words }, behavior: 'Isolated', invert: false };
  return {
    normalizer: NFC,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel(prefix, { useRegex: false })] },
    decoder: BYTE_LEVEL_DECODER,
    model: BYTE_LEVEL_BPE,
  };
}

function byteLevel(addPrefixSpace: boolean, { trimOffsets = true, useRegex = true } = {}): Json {
  return { type: 'ByteLevel', add_prefix_space: addPrefixSpace, trim_offsets: trimOffsets, use_regex: useRegex };
}

const metaspace = (scheme: 'always' | 'first' | 'never'): Json => ({ type: 'Metaspace', replacement: SPACE, prepend_scheme: scheme, split: false });

function sentencePieceDecoder(dropsFirstSpace: boolean): Json {
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  const decoders = [{ type: 'Replace', pattern: { String: SPACE }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }];
  return { type: 'Sequence', decoders: dropsFirstSpace ? [...decoders, strip] : decoders };
}

/** Python's `str` of a token; of no token it is the word None. */
const text = (token: unknown): string => (token === null ? 'None' : String(token));

function flag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw badTokenizer(`${name} in tokenizer_config.json is ${JSON.stringify(value)}`, 'Write true or false.');
}
