/** The tokenizer.json of a model in GGUF: what `vocabulary.ts` writes, read back. */
import { Refusal } from '../../../src/formats/refusal.ts';
import { shown } from '../../../src/formats/shown.ts';
import { mergesByScore } from './merges-by-score.ts';
import type { GgufMetadata } from './metadata.ts';
import { preTokenizerFrom, SPLITTER_NAMES, splitterNamed } from './pre-tokenizer.ts';
import type { GgufFile } from './read-file.ts';
import { KIND, SPACE } from './token-kinds.ts';

type Json = Record<string, unknown>;

export interface ReadTokenizer {
  json: Json;
  /** Texts of the tokens that the file names, by transformers' names. */
  special: { bos_token?: string; eos_token?: string; unk_token?: string; pad_token?: string };
}

const NFC: Json = { type: 'NFC' };

interface Words {
  normalizer: Json | null;
  pre_tokenizer: Json | null;
  decoder: Json;
  model: Json;
  /** Whether bos is put before a text if the file does not say. */
  addsBos: boolean;
}

const GGML = 'tokenizer.ggml.';

/** Of Phi-3's control tokens, those that do not take the white space after them; GGUF does not say, so llama.cpp knows the family. */
const PHI3_STRIPS_NOT = ['<unk>', '<s>', '<|endoftext|>'];

/** Rows of the embedding that no token has, as converters name them. */
const PADDING = /^\[PAD\d+\]$/;

/** @throws Refusal `unsupported_architecture` for a kind of tokenizer that is not known, `corrupt_model_file` for a vocabulary that contradicts itself */
export function tokenizerOf({ metadata, path }: GgufFile, vocabSize: number): ReadTokenizer {
  const kind = metadata.text(`${GGML}model`);
  const stored = metadata.required(`${GGML}tokens`, metadata.strings(`${GGML}tokens`));
  if (stored.length > vocabSize) throw metadata.wrong(`it has ${stored.length} tokens, and its embedding ${vocabSize} rows`);
  const kinds = metadata.numbers(`${GGML}token_type`) ?? stored.map(() => KIND.normal);
  if (kinds.length !== stored.length) throw metadata.wrong(`it has ${stored.length} tokens, and ${kinds.length} kinds of them`);
  if (kind !== 'gpt2' && kind !== 'llama')
    throw unsupported(path, `a tokenizer of the kind ${shown(kind)}`, 'Files with the kinds "gpt2" and "llama" are read.');
  // Runs of spaces are written as such where a token is matched in the text.
  const tokens = kind === 'gpt2' ? stored : stored.map((text) => (/^ {2,}$/.test(text) ? text.replaceAll(' ', SPACE) : text));
  const vocab: Record<string, number> = Object.create(null);
  for (const [id, text] of tokens.entries()) {
    if (kinds[id] === KIND.unused && PADDING.test(text)) continue;
    if (text in vocab) throw metadata.wrong(`its tokens ${vocab[text]} and ${id} are both ${shown(text)}`);
    vocab[text] = id;
  }
  const family = metadata.text('general.architecture');
  const words = kind === 'gpt2' ? ofBytes(metadata, vocab, path) : ofPieces(metadata, { tokens, kinds, vocab });
  // GPT-NeoX's too; GGUF has its way of splitting under the name of GPT-2's, which does not.
  if (family === 'gptneox') words.normalizer = NFC;
  const special = specialTokens(metadata, tokens);
  const added = tokens.flatMap((content, id) => {
    const isSpecial = kinds[id] === KIND.control || kinds[id] === KIND.unknown;
    if (!isSpecial && kinds[id] !== KIND.userDefined) return [];
    const rstrip = isSpecial && family === 'phi3' && !PHI3_STRIPS_NOT.includes(content);
    return [{ id, content, single_word: false, lstrip: false, rstrip, normalized: false, special: isSpecial }];
  });
  const { addsBos, ...parts } = words;
  const edges = {
    first: (metadata.flag(`${GGML}add_bos_token`) ?? addsBos) ? special.bos_token : undefined,
    last: (metadata.flag(`${GGML}add_eos_token`) ?? false) ? special.eos_token : undefined,
  };
  const json = { version: '1.0', truncation: null, padding: null, added_tokens: added, ...parts, post_processor: aroundTexts(edges, vocab) };
  return { json, special };
}

function specialTokens(metadata: GgufMetadata, tokens: readonly string[]): ReadTokenizer['special'] {
  const names = { bos_token: 'bos', eos_token: 'eos', unk_token: 'unknown', pad_token: 'padding' } as const;
  return Object.fromEntries(
    Object.entries(names).flatMap(([name, key]) => {
      const id = metadata.natural(`${GGML}${key}_token_id`);
      if (id === null) return [];
      const text = tokens[id];
      if (text === undefined) throw metadata.wrong(`${GGML}${key}_token_id is ${id}, and there are ${tokens.length} tokens`);
      return [[name, text]];
    }),
  );
}

/** Bytes are the smallest tokens, each as a printable character. */
function ofBytes(metadata: GgufMetadata, vocab: Readonly<Record<string, number>>, path: string): Words {
  const name = metadata.text(`${GGML}pre`) ?? 'missing';
  const splitter = splitterNamed(name);
  if (splitter === null)
    throw unsupported(path, `texts split in the way ${shown(name)} (${GGML}pre)`, `These ways are known: ${SPLITTER_NAMES.join(', ')}.`);
  const merges = metadata.required(`${GGML}merges`, metadata.strings(`${GGML}merges`)).map((pair) => pair.split(' '));
  const wrong = merges.findIndex((pair) => pair.length !== 2 || !(pair[0]! in vocab) || !(pair[1]! in vocab) || !(pair.join('') in vocab));
  if (wrong >= 0) throw metadata.wrong(`its merge ${wrong} is ${shown(merges[wrong]!.join(' '))}, not of two tokens into one`);
  return {
    normalizer: splitter.normalizes ? NFC : null,
    pre_tokenizer: preTokenizerFrom(splitter),
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    model: bpe({ vocab, merges, ignoresMerges: splitter.ignoresMerges === true }),
    addsBos: splitter.addsBos === true,
  };
}

interface Pieces {
  tokens: readonly string[];
  kinds: readonly number[];
  vocab: Readonly<Record<string, number>>;
}

/** Characters are the smallest tokens, with bytes for rare ones, and a space is U+2581. */
function ofPieces(metadata: GgufMetadata, { tokens, kinds, vocab }: Pieces): Words {
  const scores = metadata.required(`${GGML}scores`, metadata.numbers(`${GGML}scores`));
  if (scores.length !== tokens.length) throw metadata.wrong(`it has ${tokens.length} tokens, and ${scores.length} scores`);
  const addsSpace = metadata.flag(`${GGML}add_space_prefix`) ?? true;
  const toSpace = { type: 'Replace', pattern: { String: ' ' }, content: SPACE };
  const unknown = tokens.find((_, id) => kinds[id] === KIND.unknown);
  return {
    normalizer: addsSpace ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: SPACE }, toSpace] } : toSpace,
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(addsSpace ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: bpe({ vocab, merges: mergesByScore({ tokens, kinds, scores }), unknown: unknown ?? null, fallsBack: true }),
    addsBos: true,
  };
}

interface Bpe {
  vocab: Readonly<Record<string, number>>;
  merges: readonly (readonly string[])[];
  ignoresMerges?: boolean;
  unknown?: string | null;
  /** To bytes. */
  fallsBack?: boolean;
}

const bpe = ({ vocab, merges, ignoresMerges = false, unknown = null, fallsBack = false }: Bpe): Json => ({
  ...{ type: 'BPE', dropout: null, unk_token: unknown, continuing_subword_prefix: null, end_of_word_suffix: null },
  ...{ fuse_unk: fallsBack, byte_fallback: fallsBack, ignore_merges: ignoresMerges, vocab, merges },
});

/** What is put around every text. */
function aroundTexts({ first, last }: { first: string | undefined; last: string | undefined }, vocab: Readonly<Record<string, number>>): Json | null {
  const edges = [first, last].filter((token) => token !== undefined);
  if (edges.length === 0) return null;
  const token = (text: string | undefined, type_id: number) => (text === undefined ? [] : [{ SpecialToken: { id: text, type_id } }]);
  const sequence = (id: string, type_id: number) => [...token(first, type_id), { Sequence: { id, type_id } }, ...token(last, type_id)];
  return {
    type: 'TemplateProcessing',
    single: sequence('A', 0),
    pair: [...sequence('A', 0), ...sequence('B', 1)],
    special_tokens: Object.fromEntries(edges.map((text) => [text, { id: text, ids: [vocab[text]], tokens: [text] }])),
  };
}

const unsupported = (path: string, what: string, hint: string): Refusal =>
  new Refusal('unsupported_architecture', `${path} has ${what}`, { param: 'model', hint });
