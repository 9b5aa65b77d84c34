import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { ObjectStore } from '../src/object-store/object-store.ts';
import { fetchObject } from './job-folder.ts';

export interface UploadedFile {
  /** Within the directory, `/` between folders. */
  name: string;
  key: string;
  sizeBytes: number;
  /** Hex. */
  sha256: string;
}

/**
 * Every file of a directory, one object each.
 * @param prefix ends in `/`; what was there before is replaced
 */
export async function uploadDirectory(objectStore: ObjectStore, dir: string, prefix: string): Promise<UploadedFile[]> {
  await objectStore.deletePrefix(prefix);
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const uploaded: UploadedFile[] = [];
  for (const path of paths.sort()) {
    const name = relative(dir, path).split(sep).join('/');
    const hash = createHash('sha256');
    const content = createReadStream(path);
    content.on('data', (chunk) => hash.update(chunk));
    const { sizeBytes } = await objectStore.put(prefix + name, content);
    uploaded.push({ name, key: prefix + name, sizeBytes, sha256: hash.digest('hex') });
  }
  return uploaded;
}

/** @returns how many files there were */
export async function downloadDirectory(objectStore: ObjectStore, prefix: string, dir: string): Promise<number> {
  const objects = await objectStore.list(prefix);
  for (const { key } of objects) await fetchObject(objectStore, key, join(dir, key.slice(prefix.length)));
  return objects.length;
}
