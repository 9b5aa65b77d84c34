/** The tokenizer.json to which tokens are then added: the directory's, or what the tokenizer's class builds from the directory's vocabulary. */
import { isDeepStrictEqual } from 'node:util';
import { isRecord } from '../../../../src/formats/record.ts';
import type { AddedToken } from './added-token.ts';
import { badTokenizer } from './bad-tokenizer.ts';
import { type Arguments, serializedTokens } from './init-arguments.ts';
import { type Pipeline, READS_VOCABULARY, REBUILT_CLASSES } from './rebuilt.ts';
import type { Serialized } from './serialized.ts';
import { AS_SERIALIZED, type RebuiltClass, type TokenizerClass } from './tokenizer-class.ts';
import type { TokenizerFiles } from './tokenizer-files.ts';

type Json = Record<string, unknown>;

export interface Source {
  /** Perhaps without vocabulary; `whole` has it. */
  json: Json;
  whole(): Json;
  /** From which the core is loaded. */
  text: string;
  /** The added tokens in it. */
  added: AddedToken[];
}

interface SourceOptions {
  args: Arguments;
  /** Tokens that the directory declares, in the order of their ids. */
  declared: AddedToken[];
  files: TokenizerFiles;
}

/** @throws Refusal when the directory has no vocabulary that the class reads */
export function tokenizerSource(kind: TokenizerClass, { args, declared, files: { serialized, vocabulary, modelDir } }: SourceOptions): Source {
  if (serialized === null && !READS_VOCABULARY.includes(kind))
    throw badTokenizer(
      `${modelDir} has no tokenizer.json, and its tokenizer's class, ${kind}, does not read vocab.json`,
      `Save tokenizer.json with it, or name the right class in tokenizer_config.json as tokenizer_class: ${READS_VOCABULARY.join(', ')}.`,
    );
  if (kind === AS_SERIALIZED && serialized !== null) return asSerialized(serialized);
  const pipeline = REBUILT_CLASSES[kind as RebuiltClass].pipeline(args);
  if (serialized !== null && buildsTheSame(serialized, pipeline, declared)) return asSerialized(serialized);
  const { model: options, ...steps } = pipeline;
  const model = { ...options, ...(serialized === null ? vocabulary : bpeVocabulary(serialized)) };
  const postProcessor = serialized?.json['post_processor'] ?? null;
  return built({ version: '1.0', truncation: null, padding: null, added_tokens: [], post_processor: postProcessor, ...steps, model });
}

/** @returns the same with other parts */
export function changed(source: Source, changes: Json): Source {
  return { ...built({ ...source.whole(), ...changes }), added: 'added_tokens' in changes ? [] : source.added };
}

const built = (json: Json): Source => ({ json, whole: () => json, text: JSON.stringify(json), added: [] });

function asSerialized(serialized: Serialized): Source {
  return { json: serialized.json, whole: () => serialized.whole, text: serialized.text, added: addedIn(serialized) };
}

const addedIn = ({ json, path }: Serialized): AddedToken[] => serializedTokens(json['added_tokens'] ?? [], path).map(({ token }) => token);

/** Whether the file already is what the class would build, as it mostly is; then its text need not be parsed and written again. */
function buildsTheSame(serialized: Serialized, pipeline: Pipeline, declared: AddedToken[]): boolean {
  const { json } = serialized;
  const { vocab: _, merges: __, ...options } = isRecord(json['model']) ? json['model'] : {};
  const inFile = { ...json, model: { ignore_merges: false, ...options } };
  if (!isDeepStrictEqual(essence(inFile), essence({ ...pipeline }))) return false;
  const added = addedIn(serialized);
  return added.length <= declared.length && added.every((token, index) => token.equals(declared[index]!));
}

/** What decides ids and texts. As a pre-tokenizer, ByteLevel does not trim offsets; as a decoder it reads none of its options. */
function essence({ normalizer = null, pre_tokenizer, decoder, model }: Json): unknown[] {
  const step = (value: unknown): unknown => {
    if (!isRecord(value)) return value;
    const { trim_offsets, ...rest } = value;
    return Array.isArray(value['pretokenizers']) ? { ...value, pretokenizers: value['pretokenizers'].map(step) } : { trim_offsets: null, ...rest };
  };
  return [normalizer, step(pre_tokenizer), isRecord(decoder) && decoder['type'] === 'ByteLevel' ? decoder['type'] : decoder, model];
}

/** Vocabulary and merges for a BPE, whatever the model in the file is. */
function bpeVocabulary({ whole, path }: Serialized): { vocab: unknown; merges: unknown } {
  const model = whole['model'];
  if (!isRecord(model)) throw badTokenizer(`${path} has no model`);
  const { vocab, merges = [] } = model;
  if (isRecord(vocab)) return { vocab, merges };
  if (!Array.isArray(vocab)) throw badTokenizer(`${path} has no vocabulary`);
  return { vocab: Object.fromEntries(vocab.map((token: unknown, id) => [Array.isArray(token) ? token[0] : token, id])), merges };
}
