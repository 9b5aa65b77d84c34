import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { Readable } from 'node:stream';
import { hashed, hashFile } from '../../src/formats/hashing.ts';
import type { ObjectStore } from '../../src/object-store/object-store.ts';
import { fetchObject } from './folder.ts';

export interface DirectoryFile {
  /** Path within the directory, with `/` between folders. */
  name: string;
  sizeBytes: number;
  /** Hex. */
  sha256: string;
}

export interface UploadedFile extends DirectoryFile {
  key: string;
}

/**
 * Uploads every file of a directory, one object per file.
 * @param prefix ends in `/`; a folder of this upload alone
 */
export async function uploadDirectory(objectStore: ObjectStore, dir: string, prefix: string): Promise<UploadedFile[]> {
  const uploaded: UploadedFile[] = [];
  for (const path of await pathsIn(dir)) {
    const name = nameIn(dir, path);
    const hash = createHash('sha256');
    const { sizeBytes } = await objectStore.put(prefix + name, Readable.from(hashed(createReadStream(path), hash), { objectMode: false }));
    uploaded.push({ name, key: prefix + name, sizeBytes, sha256: hash.digest('hex') });
  }
  return uploaded;
}

/** Every file of a directory, sorted by path. */
export async function filesIn(dir: string): Promise<DirectoryFile[]> {
  const files: DirectoryFile[] = [];
  for (const path of await pathsIn(dir)) {
    const { size: sizeBytes } = await stat(path);
    files.push({ name: nameIn(dir, path), sizeBytes, sha256: await hashFile(path) });
  }
  return files;
}

async function pathsIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

const nameIn = (dir: string, path: string): string => relative(dir, path).split(sep).join('/');

/** @returns how many files there were */
export async function downloadDirectory(objectStore: ObjectStore, prefix: string, dir: string): Promise<number> {
  const objects = await objectStore.list(prefix);
  for (const { key } of objects) await fetchObject(objectStore, key, join(dir, key.slice(prefix.length)));
  return objects.length;
}
