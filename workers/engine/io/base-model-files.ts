/** Identifies a base model by the hashes of its files. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HashedFile } from '../../../src/formats/hashed-file.ts';
import { hashFile } from '../../../src/formats/hashing.ts';
import { readGgufSource } from './gguf-source.ts';

/** Weights, configuration, tokenizer and chat template; not READMEs or other formats of the same weights. */
const IDENTIFYING = /\.(safetensors|json|jinja|model)$|^(merges|vocab)\.txt$/;

interface Known {
  sizeBytes: number;
  mtimeMs: number;
  sha256: Promise<string>;
}

/** @returns the SHA-256 of a file with this size and modification time */
export type FileHash = (path: string, stats: { size: number; mtimeMs: number }) => Promise<string>;

/**
 * Keeps the hash of each file while its size and modification time stay the same: gigabytes are not read again for every job.
 * @returns a function that hashes a file
 */
export function openHashes(): FileHash {
  const known = new Map<string, Known>();
  return (path, { size: sizeBytes, mtimeMs }) => {
    const before = known.get(path);
    if (before?.sizeBytes === sizeBytes && before.mtimeMs === mtimeMs) return before.sha256;
    const sha256 = hashFile(path);
    known.set(path, { sizeBytes, mtimeMs, sha256 });
    sha256.catch(() => known.delete(path));
    return sha256;
  };
}

/** @returns a function that hashes a model directory's files, sorted by name. A directory that was made of a GGUF file is that file */
export function openFileHashes(sha256Of: FileHash = openHashes()): (modelDir: string) => Promise<HashedFile[]> {
  return async (modelDir) => {
    const source = readGgufSource(modelDir);
    if (source !== null) return [source];
    const files: HashedFile[] = [];
    for (const name of (await readdir(modelDir)).filter((each) => IDENTIFYING.test(each)).sort()) {
      const path = join(modelDir, name);
      const stats = await stat(path); // follows the links of a hub cache
      if (!stats.isFile()) continue;
      files.push({ name, bytes: stats.size, sha256: await sha256Of(path, stats) });
    }
    return files;
  };
}
