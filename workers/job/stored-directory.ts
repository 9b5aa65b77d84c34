import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { Readable } from 'node:stream';
import type { HashedFile } from '../../src/formats/hashed-file.ts';
import { hashed, hashFile } from '../../src/formats/hashing.ts';
import { ObjectNotFound, type ObjectStore } from '../../src/object-store/object-store.ts';
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
 * @param prefix ends in `/`; a folder of this upload alone, which is removed if the upload fails: a store that is full must not fill up with halves
 */
export async function uploadDirectory(objectStore: ObjectStore, dir: string, prefix: string): Promise<UploadedFile[]> {
  const uploaded: UploadedFile[] = [];
  try {
    for (const path of await pathsIn(dir)) {
      const name = nameIn(dir, path);
      const hash = createHash('sha256');
      const { sizeBytes } = await objectStore.put(prefix + name, Readable.from(hashed(createReadStream(path), hash), { objectMode: false }));
      uploaded.push({ name, key: prefix + name, sizeBytes, sha256: hash.digest('hex') });
    }
    return uploaded;
  } catch (error) {
    await objectStore.deletePrefix(prefix).catch(() => {}); // what stays is swept later
    throw error;
  }
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

/** A stored file is missing or differs from what was written. The message names the file and the difference. */
export class DamagedFile extends Error {
  override readonly name = 'DamagedFile';
}

interface Stored {
  /** Ends in `/`. */
  prefix: string;
  files: readonly HashedFile[];
}

/**
 * Downloads these files, and compares the size and the hash of each with what was recorded when it was uploaded.
 * @throws DamagedFile; errors of the store
 */
export async function downloadFiles(objectStore: ObjectStore, { prefix, files, dir }: Stored & { dir: string }): Promise<void> {
  for (const file of files) {
    const path = join(dir, file.name);
    await fetchObject(objectStore, prefix + file.name, path).catch((error) => {
      throw damageOf(error, file);
    });
    // Hashed as it is on this disk, which is what the training process reads.
    const { size } = await stat(path);
    compare(file, { bytes: size, sha256: await hashFile(path) });
  }
}

/**
 * Compares these files in the same way, without keeping them.
 * @throws DamagedFile; errors of the store
 */
export async function checkFiles(objectStore: ObjectStore, { prefix, files }: Stored): Promise<void> {
  for (const file of files) {
    const hash = createHash('sha256');
    let bytes = 0;
    try {
      for await (const chunk of hashed(await objectStore.get(prefix + file.name), hash)) bytes += (chunk as Buffer).length;
    } catch (error) {
      throw damageOf(error, file);
    }
    compare(file, { bytes, sha256: hash.digest('hex') });
  }
}

const damageOf = (error: unknown, { name }: HashedFile): unknown =>
  error instanceof ObjectNotFound ? new DamagedFile(`${name} is no longer in storage`) : error;

function compare({ name, bytes, sha256 }: HashedFile, found: Pick<HashedFile, 'bytes' | 'sha256'>): void {
  if (found.bytes !== bytes) throw new DamagedFile(`${name} came back with ${found.bytes} bytes; ${bytes} were stored`);
  if (found.sha256 !== sha256) throw new DamagedFile(`${name} came back with different content (sha256 ${found.sha256}; ${sha256} was stored)`);
}

/** @returns how many files there were */
export async function downloadDirectory(objectStore: ObjectStore, prefix: string, dir: string): Promise<number> {
  const objects = await objectStore.list(prefix);
  for (const { key } of objects) await fetchObject(objectStore, key, join(dir, key.slice(prefix.length)));
  return objects.length;
}
