import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { checkedFolder, checkedKey, checkedPrefix } from './checked-key.ts';
import { ObjectNotFound, type ObjectStore } from './object-store.ts';
import { probe } from './probe.ts';

/** Holds files that are being written; no key begins with a dot. */
const UNFINISHED = '.unfinished';

/** An object store in a directory, with one file per object. A file under its key is complete and synced to disk. */
export async function openLocalStore(root: string): Promise<ObjectStore> {
  const unfinished = join(root, UNFINISHED);
  await mkdir(unfinished, { recursive: true });
  const pathOf = (key: string) => join(root, checkedKey(key));

  const store: Omit<ObjectStore, 'check'> = {
    async put(key, body) {
      const path = pathOf(key);
      const temporary = join(unfinished, randomUUID());
      try {
        await pipeline(body instanceof Readable ? body : Readable.from([body]), createWriteStream(temporary, { flags: 'wx', flush: true }));
        const { size } = await stat(temporary);
        await renameIntoPlace(temporary, path);
        return { sizeBytes: size };
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },

    async get(key, range) {
      // Opened here, so that a missing object rejects instead of failing the stream later.
      const file = await open(pathOf(key)).catch((error) => {
        throw isMissing(error) ? new ObjectNotFound(key) : error;
      });
      if (!(await file.stat()).isFile()) {
        await file.close();
        throw new ObjectNotFound(key);
      }
      return file.createReadStream(range);
    },

    async size(key) {
      const stats = await statOrNull(pathOf(key));
      return stats?.isFile() ? stats.size : null;
    },

    async list(prefix) {
      const folder = join(root, checkedPrefix(prefix).slice(0, prefix.lastIndexOf('/') + 1));
      const found: { key: string; sizeBytes: number }[] = [];
      for await (const path of filesUnder(folder)) {
        const key = path.slice(root.length + 1);
        if (!key.startsWith(prefix)) continue;
        const stats = await statOrNull(path);
        if (stats !== null) found.push({ key, sizeBytes: stats.size });
      }
      return found.sort((a, b) => (a.key < b.key ? -1 : 1));
    },

    async delete(key) {
      await rm(pathOf(key), { force: true });
    },

    async deletePrefix(prefix) {
      await rm(join(root, checkedFolder(prefix)), { recursive: true, force: true });
    },

    async removeUnfinished(olderThanMs) {
      for (const name of await readdir(unfinished)) {
        const path = join(unfinished, name);
        const stats = await statOrNull(path);
        if (stats !== null && stats.mtimeMs < Date.now() - olderThanMs) await rm(path, { force: true });
      }
    },

    async close() {},
  };
  return { ...store, check: () => probe(store) };
}

async function renameIntoPlace(temporary: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rename(temporary, path);
  // The rename is on disk only once the directory is synced.
  const directory = await open(dirname(path));
  await directory.sync().finally(() => directory.close());
}

async function* filesUnder(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error) => {
    if (isMissing(error)) return [];
    throw error;
  });
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(path);
    else if (entry.isFile()) yield path;
  }
}

const isMissing = (error: unknown) => ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

const statOrNull = (path: string) =>
  stat(path).catch((error) => {
    if (isMissing(error)) return null;
    throw error;
  });
