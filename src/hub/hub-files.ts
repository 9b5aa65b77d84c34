/** Which files of a repository make up a base model. */
import {
  ADDITIONAL_TEMPLATES_DIR,
  COMPANION_FILES,
  CONFIG_FILE,
  shardsOf,
  TEMPLATE_EXTENSION,
  TOKENIZER_FILE,
  VOCABULARY_FILES,
  WEIGHTS_FILE,
  WEIGHTS_INDEX_FILE,
} from '../formats/model-files.ts';
import { Refusal } from '../formats/refusal.ts';

/** A file as the hub lists it. */
export interface HubFile {
  /** Path in the repository. */
  name: string;
  sizeBytes: number;
  /** Hash of the content: SHA-256 for large files, SHA-1 as a git blob for small ones. */
  digest: { kind: 'sha256' | 'git-sha1'; hex: string };
}

/**
 * Selects the files to download: never pickles, weights in other formats or sub-directories but that of further chat templates.
 * @param shards  the shards that the index names; null if there is no index
 * @throws Refusal model_incomplete naming every file that is missing
 */
export function neededFiles(model: string, listed: readonly HubFile[], shards: readonly string[] | null): HubFile[] {
  const byName = new Map(listed.map((file) => [file.name, file]));
  const weights = byName.has(WEIGHTS_FILE) || shards === null ? [WEIGHTS_FILE] : [WEIGHTS_INDEX_FILE, ...shards];
  const tokenizer = !byName.has(TOKENIZER_FILE) && VOCABULARY_FILES.every((name) => byName.has(name)) ? VOCABULARY_FILES : [TOKENIZER_FILE];
  const required = [CONFIG_FILE, ...tokenizer, ...weights];
  const missing = required.filter((name) => !byName.has(name));
  if (missing.length > 0)
    throw new Refusal('model_incomplete', `The repository "${model}" lacks ${missing.join(', ')}`, {
      param: 'model',
      hint: 'A base model needs config.json, tokenizer.json (or vocab.json and merges.txt) and safetensors weights; older repositories often have a converted revision or copy.',
    });
  const companions = [...COMPANION_FILES.filter((name) => byName.has(name)), ...[...byName.keys()].filter(isAdditionalTemplate)];
  return [...new Set([...required, ...companions])].map((name) => byName.get(name)!);
}

/** The one folder of a repository that a model needs a file from: its further chat templates. */
const isAdditionalTemplate = (name: string): boolean =>
  name.startsWith(`${ADDITIONAL_TEMPLATES_DIR}/`) && name.endsWith(TEMPLATE_EXTENSION) && /^[\w.-]+$/.test(name.slice(name.indexOf('/') + 1));

/** @returns the index to read before `neededFiles`; null when the weights are one file */
export const indexToRead = (listed: readonly HubFile[]): HubFile | null =>
  listed.some(({ name }) => name === WEIGHTS_FILE) ? null : (listed.find(({ name }) => name === WEIGHTS_INDEX_FILE) ?? null);

/** @throws Refusal model_incomplete if it is not an index, or names anything but files beside it */
export function shardsInIndex(model: string, index: unknown): string[] {
  const named = shardsOf(index);
  if ('shards' in named) return named.shards;
  throw new Refusal('model_incomplete', `"${model}" has a ${WEIGHTS_INDEX_FILE} that ${named.problem}`, { param: 'model' });
}
