/** The files of a model directory that `AutoTokenizer` reads, parsed. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CONFIG_FILE,
  MERGES_FILE,
  SPECIAL_TOKENS_FILE,
  TOKENIZER_CONFIG_FILE,
  TOKENIZER_FILE,
  VOCABULARY_FILE,
} from '../../../../src/formats/model-files.ts';
import { badTokenizer } from './bad-tokenizer.ts';
import { parseObject, Serialized } from './serialized.ts';

type Json = Record<string, unknown>;

/** The version whose rules are followed here; a directory may hold a tokenizer.json for older and one for newer versions. */
const TRANSFORMERS = [5, 23, 0];
const ADDED_TOKENS_FILE = 'added_tokens.json';
/** A file of the directory itself. */
const VERSIONED = /^tokenizer\.([\w.-]+)\.json$/;

export interface TokenizerFiles {
  modelDir: string;
  /** `config.json`; {} without one, as for all of these. */
  model: Json;
  /** `tokenizer_config.json`. */
  config: Json;
  specialTokensMap: Json;
  /** `added_tokens.json`, which directories from before 2023 have: token → id. */
  addedTokens: Json;
  /** null without a tokenizer.json. */
  serialized: Serialized | null;
  /** `vocab.json` and `merges.txt`; null without either. */
  vocabulary: { vocab: Json; merges: [string, string][] } | null;
}

/** @throws Refusal for a file that is not valid JSON, and for a directory whose tokenizer is in a form that only Python can convert */
export async function readTokenizerFiles(modelDir: string): Promise<TokenizerFiles> {
  const at = (name: string) => join(modelDir, name);
  const config = (await readObject(at(TOKENIZER_CONFIG_FILE))) ?? {};
  const serialized = await readSerialized(at(serializedName(config)));
  return {
    modelDir,
    model: (await readObject(at(CONFIG_FILE))) ?? {},
    config,
    specialTokensMap: (await readObject(at(SPECIAL_TOKENS_FILE))) ?? {},
    addedTokens: (await readObject(at(ADDED_TOKENS_FILE))) ?? {},
    serialized,
    vocabulary: serialized === null ? await readVocabulary(modelDir) : null,
  };
}

/** `fast_tokenizer_files` lists `tokenizer.VERSION.json`, each for that version and newer ones (`get_fast_tokenizer_file`). */
function serializedName(config: Json): string {
  const files = config['fast_tokenizer_files'];
  if (!Array.isArray(files)) return TOKENIZER_FILE;
  const versions = new Map(files.map((file) => [VERSIONED.exec(String(file))?.[1], String(file)] as const));
  let chosen = TOKENIZER_FILE;
  for (const version of [...versions.keys()].filter((each) => each !== undefined).sort()) {
    if (!isAtMost(version, TRANSFORMERS)) break;
    chosen = versions.get(version)!;
  }
  return chosen;
}

function isAtMost(version: string, limit: readonly number[]): boolean {
  const parts = version.split('.').map(Number);
  const at = limit.findIndex((part, index) => (parts[index] ?? 0) !== part);
  return at === -1 || (parts[at] ?? 0) < limit[at]!;
}

async function readSerialized(path: string): Promise<Serialized | null> {
  const text = await readText(path);
  return text === null ? null : new Serialized(path, text);
}

async function readVocabulary(modelDir: string): Promise<TokenizerFiles['vocabulary']> {
  const vocab = await readObject(join(modelDir, VOCABULARY_FILE));
  const path = join(modelDir, MERGES_FILE);
  const merges = await readText(path);
  if (vocab === null || merges === null) throw await noTokenizer(modelDir);
  return { vocab, merges: readMerges(merges, path) };
}

/** @throws Refusal naming the line, like Hugging Face's core */
function readMerges(text: string, path: string): [string, string][] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines.flatMap((line, index): [string, string][] => {
    if (line.startsWith('#version')) return [];
    const parts = line.split(' ');
    if (parts.length !== 2) throw badTokenizer(`line ${index + 1} of ${path} is not two tokens with a space between them`);
    return [[parts[0]!, parts[1]!]];
  });
}

async function noTokenizer(modelDir: string) {
  const names = await readdir(modelDir).catch(() => []);
  const other = names.find((name) => name === 'tekken.json' || /\.model(\.v\d+)?$/.test(name));
  const convert = `python -c "from transformers import AutoTokenizer; d = '${modelDir}'; AutoTokenizer.from_pretrained(d).save_pretrained(d)"`;
  return badTokenizer(
    `${join(modelDir, TOKENIZER_FILE)} cannot be read`,
    other === undefined
      ? `A model directory needs its ${TOKENIZER_FILE}, or ${VOCABULARY_FILE} with ${MERGES_FILE}.`
      : `Convert ${other} into it once: ${convert}`,
  );
}

async function readObject(path: string): Promise<Json | null> {
  const text = await readText(path);
  return text === null ? null : parseObject(text, path);
}

/** @returns null when there is no such file */
async function readText(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw badTokenizer(`${path} cannot be read: ${error.message}`);
  });
}
