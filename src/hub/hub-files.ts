/** Which files of a repository a base model is made of. */
import { Refusal } from '../formats/refusal.ts';

/** A file as the hub lists it. */
export interface HubFile {
  /** Its name at the top of the repository. */
  name: string;
  sizeBytes: number;
  /** What its content hashes to: large files by SHA-256, small ones as git's blobs, by SHA-1. */
  digest: { kind: 'sha256' | 'git-sha1'; hex: string };
}

export const CONFIG_FILE = 'config.json';
export const INDEX_FILE = 'model.safetensors.index.json';
const SINGLE_FILE = 'model.safetensors';
const TOKENIZER_FILE = 'tokenizer.json';

/** Beside the weights, where they are there. */
const OPTIONAL = [
  ...['generation_config.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json', 'vocab.json', 'merges.txt'],
  ...['tokenizer.model', 'chat_template.jinja', 'chat_template.json'],
];

/**
 * Never pickles, other formats' weights or sub-directories.
 * @param shards that the index names; null when there is no index to go by
 * @throws Refusal model_incomplete naming every file that is missing
 */
export function neededFiles(model: string, listed: readonly HubFile[], shards: readonly string[] | null): HubFile[] {
  const there = new Map(listed.map((file) => [file.name, file]));
  const weights = there.has(SINGLE_FILE) || shards === null ? [SINGLE_FILE] : [INDEX_FILE, ...shards];
  const required = [CONFIG_FILE, TOKENIZER_FILE, ...new Set(weights)];
  const missing = required.filter((name) => !there.has(name));
  if (missing.length > 0)
    throw new Refusal('model_incomplete', `The repository "${model}" lacks ${missing.join(', ')}`, {
      param: 'model',
      hint: 'A base model has config.json, tokenizer.json and weights in safetensors; older repositories often have a converted revision or copy.',
    });
  return [...required, ...OPTIONAL.filter((name) => there.has(name))].map((name) => there.get(name)!);
}

/** @returns the index to read before `neededFiles`; null when the weights are one file */
export const indexToRead = (listed: readonly HubFile[]): HubFile | null =>
  listed.some(({ name }) => name === SINGLE_FILE) ? null : (listed.find(({ name }) => name === INDEX_FILE) ?? null);

/** @throws Refusal model_incomplete when it is no index, or names what is no file beside it */
export function shardsOf(model: string, index: unknown): string[] {
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  const shards = typeof map === 'object' && map !== null ? [...new Set(Object.values(map))] : [];
  if (shards.length > 0 && shards.every((shard) => typeof shard === 'string' && /^[\w.-]+\.safetensors$/.test(shard))) return shards as string[];
  throw new Refusal('model_incomplete', `"${model}" has a ${INDEX_FILE} that names no safetensors files beside it`, { param: 'model' });
}
