/** Which files of a repository a base model is made of. */
import { COMPANION_FILES, CONFIG_FILE, shardsOf, TOKENIZER_FILE, WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from '../formats/model-files.ts';
import { Refusal } from '../formats/refusal.ts';

/** A file as the hub lists it. */
export interface HubFile {
  /** Its name at the top of the repository. */
  name: string;
  sizeBytes: number;
  /** What its content hashes to: large files by SHA-256, small ones as git's blobs, by SHA-1. */
  digest: { kind: 'sha256' | 'git-sha1'; hex: string };
}

/**
 * Never pickles, other formats' weights or sub-directories.
 * @param shards that the index names; null when there is no index to go by
 * @throws Refusal model_incomplete naming every file that is missing
 */
export function neededFiles(model: string, listed: readonly HubFile[], shards: readonly string[] | null): HubFile[] {
  const there = new Map(listed.map((file) => [file.name, file]));
  const weights = there.has(WEIGHTS_FILE) || shards === null ? [WEIGHTS_FILE] : [WEIGHTS_INDEX_FILE, ...shards];
  const required = [CONFIG_FILE, TOKENIZER_FILE, ...weights];
  const missing = required.filter((name) => !there.has(name));
  if (missing.length > 0)
    throw new Refusal('model_incomplete', `The repository "${model}" lacks ${missing.join(', ')}`, {
      param: 'model',
      hint: 'A base model has config.json, tokenizer.json and weights in safetensors; older repositories often have a converted revision or copy.',
    });
  const companions = COMPANION_FILES.filter((name) => there.has(name));
  return [...new Set([...required, ...companions])].map((name) => there.get(name)!);
}

/** @returns the index to read before `neededFiles`; null when the weights are one file */
export const indexToRead = (listed: readonly HubFile[]): HubFile | null =>
  listed.some(({ name }) => name === WEIGHTS_FILE) ? null : (listed.find(({ name }) => name === WEIGHTS_INDEX_FILE) ?? null);

/** @throws Refusal model_incomplete when it is no index, or names what is no file beside it */
export function shardsInIndex(model: string, index: unknown): string[] {
  const named = shardsOf(index);
  if ('shards' in named) return named.shards;
  throw new Refusal('model_incomplete', `"${model}" has a ${WEIGHTS_INDEX_FILE} that ${named.problem}`, { param: 'model' });
}
