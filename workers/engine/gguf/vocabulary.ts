/** A model's tokenizer and chat templates as GGUF metadata. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { isRecord } from '../../../src/formats/record.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { openPythonTokenizer } from '../data/python-tokenizer/python-tokenizer.ts';
import { DEFAULT, type TemplateSources } from '../data/template/template-files.ts';
import { preTokenizerOf } from './pre-tokenizer.ts';
import { KIND, SPACE } from './token-kinds.ts';
import type { Metadata, MetadataValue } from './write-file.ts';

type Json = Record<string, unknown>;

/** Score of a token that no merge makes: it is only ever matched whole. */
const NEVER_MERGED = -1e6;
const BYTE = /^<0x[0-9A-F]{2}>$/;

interface AddedToken {
  id: number;
  content: string;
  special: boolean;
}

interface Vocabulary {
  tokens: string[];
  kinds: number[];
}

export interface TokenizerMetadata {
  metadata: Metadata;
  warnings: string[];
}

/** The whole tokenizer.json of a directory, as Python has it. */
async function serialized(core: { save(path: string, pretty: boolean): unknown }): Promise<Json> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-tokenizer-'));
  try {
    const path = join(folder, 'tokenizer.json');
    core.save(path, false);
    return JSON.parse(await readFile(path, 'utf8')) as Json;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * @param templates the model's chat templates; null if it has none
 * @throws Refusal `unsupported_export` for a tokenizer that llama.cpp cannot reproduce
 */
export async function tokenizerMetadata(
  modelDir: string,
  { config, templates, stops }: { config: ModelConfig; templates: TemplateSources | null; stops: ReadonlySet<number> },
): Promise<TokenizerMetadata> {
  const { core, specialTokens, warnings } = await openPythonTokenizer(modelDir);
  const json = await serialized(core);
  const model = json['model'] as Json;
  if (model['type'] !== 'BPE') throw unsupported(`its tokenizer is of the type ${JSON.stringify(model['type'])}`);
  const idOf = (name: string): number | null => {
    const text = specialTokens[`${name}_token`];
    return text === undefined ? null : core.tokenToId(text);
  };
  const vocabulary = vocabularyOf(json, config.vocabSize);
  const ofWords = model['byte_fallback'] === true ? ofPieces(json, vocabulary) : ofBytes(json, vocabulary);
  const entries: [string, MetadataValue | null][] = [
    ...ofWords.entries,
    ...Object.entries({ bos: config.bosTokenId, eos: config.eosTokenIds[0] ?? null, unknown: null, padding: config.padTokenId }).map(
      ([name, fallback]): [string, MetadataValue | null] => {
        const id = idOf({ unknown: 'unk', padding: 'pad' }[name] ?? name) ?? fallback;
        return [`${name}_token_id`, id === null ? null : { u32: id }];
      },
    ),
    ['eot_token_id', otherStop(stops, idOf('eos') ?? config.eosTokenIds[0])],
    ['add_bos_token', { bool: isAdded(json, 'first') }],
    ['add_eos_token', { bool: isAdded(json, 'last') }],
  ];
  const metadata = new Map(entries.flatMap(([key, value]): [string, MetadataValue][] => (value === null ? [] : [[`tokenizer.ggml.${key}`, value]])));
  for (const [name, source] of templates ?? [])
    metadata.set(name === DEFAULT ? 'tokenizer.chat_template' : `tokenizer.chat_template.${name}`, { string: source });
  return { metadata, warnings: [...warnings, ...ofWords.warnings] };
}

/** llama.cpp also stops at this token; those beyond the second are known to it by their usual names. */
function otherStop(stops: ReadonlySet<number>, eos: number | undefined): MetadataValue | null {
  const other = [...stops].find((id) => id !== eos);
  return other === undefined ? null : { u32: other };
}

/** Whether a special token is put before or after every text. */
function isAdded(json: Json, place: 'first' | 'last'): boolean {
  const processor = json['post_processor'];
  const all = isRecord(processor) && Array.isArray(processor['processors']) ? processor['processors'] : [processor];
  const template = all.find((one) => isRecord(one) && one['type'] === 'TemplateProcessing') as { single: Json[] } | undefined;
  const edge = template?.single.at(place === 'first' ? 0 : -1);
  return edge !== undefined && 'SpecialToken' in edge;
}

function vocabularyOf(json: Json, size: number): Vocabulary {
  const byText = (json['model'] as { vocab: Record<string, number> }).vocab;
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const kinds = new Array<number>(size).fill(KIND.unused);
  const put = (id: number, text: string, kind: number): void => {
    if (id >= size) throw unsupported(`its tokenizer has the id ${id}, and its embedding ${size} rows`);
    tokens[id] = text;
    kinds[id] = kind;
  };
  for (const [text, id] of Object.entries(byText)) put(id, text, KIND.normal);
  for (const { id, content, special } of json['added_tokens'] as AddedToken[]) put(id, content, special ? KIND.control : KIND.userDefined);
  return { tokens, kinds };
}

type Words = { entries: [string, MetadataValue][]; warnings: string[] };

/** Bytes are the smallest tokens, each as a printable character (GPT-2, Llama 3, Qwen). */
function ofBytes(json: Json, { tokens, kinds }: Vocabulary): Words {
  const { name, warning } = preTokenizerOf(json);
  const normalizes = json['normalizer'] !== null && json['normalizer'] !== undefined;
  // A merge's parts are separated by a space, so one inside a part is written as byte-level BPE writes it.
  const merges = mergesOf(json).map((pair) => pair.map((part) => part.replaceAll(' ', 'Ġ')).join(' '));
  return {
    entries: [
      ['model', { string: 'gpt2' }],
      ['pre', { string: name }],
      ['tokens', { strings: tokens }],
      ['token_type', { integers: kinds }],
      ['merges', { strings: merges }],
    ],
    warnings: [
      ...(warning === null ? [] : [warning]),
      ...(normalizes ? ['llama.cpp does not normalize texts as the tokenizer does: give it texts in Unicode NFC, as almost all are.'] : []),
    ],
  };
}

/** Characters are the smallest tokens, with bytes for rare ones, and a space is U+2581 (SentencePiece: Llama 2, Gemma, Phi-3). */
function ofPieces(json: Json, { tokens, kinds }: Vocabulary): Words {
  if (!splitsNothing(json['pre_tokenizer'])) throw unsupported('its tokenizer splits texts into words before it merges characters');
  const unknown = (json['model'] as { unk_token?: string }).unk_token;
  const ranks = new Map<string, number>();
  for (const [rank, [left, right]] of mergesOf(json).entries()) if (!ranks.has(left + right)) ranks.set(left + right, rank);
  const scores = tokens.map((text) => -(ranks.get(text) ?? -NEVER_MERGED));
  const ofTokens = tokens.map((text, id) => (kinds[id] === KIND.userDefined ? text.replaceAll(SPACE, ' ') : text));
  const ofKinds = kinds.map((kind, id) => {
    if (tokens[id] === unknown) return KIND.unknown;
    return kind === KIND.normal && BYTE.test(tokens[id]!) ? KIND.byte : kind;
  });
  return {
    entries: [
      ['model', { string: 'llama' }],
      ['pre', { string: 'default' }],
      ['tokens', { strings: ofTokens }],
      ['scores', { floats: scores }],
      ['token_type', { integers: ofKinds }],
      ['add_space_prefix', { bool: startsWithSpace(json) }],
    ],
    warnings: [],
  };
}

function mergesOf(json: Json): [string, string][] {
  const merges = (json['model'] as { merges: (string | [string, string])[] }).merges;
  return merges.map((merge) => (typeof merge === 'string' ? (merge.split(' ') as [string, string]) : merge));
}

/** A pre-tokenizer that splits at spaces does nothing after a normalizer has replaced them. */
function splitsNothing(preTokenizer: unknown): boolean {
  if (!isRecord(preTokenizer)) return true;
  const pattern = preTokenizer['pattern'];
  if (preTokenizer['type'] === 'Split') return isRecord(pattern) && pattern['String'] === ' ';
  return preTokenizer['type'] === 'Metaspace' && preTokenizer['split'] === false;
}

/** Whether a text is given a space at its beginning. */
function startsWithSpace({ normalizer, pre_tokenizer: preTokenizer }: Json): boolean {
  const all = isRecord(normalizer) && Array.isArray(normalizer['normalizers']) ? normalizer['normalizers'] : [normalizer];
  if (all.some((one) => isRecord(one) && one['type'] === 'Prepend')) return true;
  return isRecord(preTokenizer) && preTokenizer['type'] === 'Metaspace' && preTokenizer['prepend_scheme'] !== 'never';
}

const unsupported = (what: string): Refusal =>
  new Refusal('unsupported_export', `The model cannot be exported as GGUF: ${what}`, {
    param: 'format',
    hint: 'Export a Hugging Face directory ("hugging_face").',
  });
