/** Tuned models on this machine's disk, fetched from the object store when they are first asked for; those used least recently leave past the limit. */
import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoredModel } from '../../src/jobs/job.ts';
import type { ObjectStore } from '../../src/object-store/object-store.ts';
import { fetchStoredModel } from '../job/start-from.ts';
import { filesIn } from '../job/stored-directory.ts';

interface Options {
  objectStore: ObjectStore;
  /** Its content is this cache's alone. */
  dir: string;
  limitBytes: number;
}

interface Stored {
  fetching: Promise<number>;
  dir: string;
  users: number;
  usedMs: number;
}

export function openStoredModels({ objectStore, dir: root, limitBytes }: Options) {
  const stored = new Map<string, Stored>();

  async function fetch(model: StoredModel, dir: string): Promise<number> {
    await mkdir(dir, { recursive: true });
    await fetchStoredModel(model, dir, objectStore);
    return (await filesIn(dir)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  async function removeOldest(): Promise<void> {
    const sized = await Promise.all([...stored].map(async ([key, each]) => ({ key, each, bytes: await each.fetching.catch(() => 0) })));
    let total = sized.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { key, each, bytes } of sized.sort((a, b) => a.each.usedMs - b.each.usedMs)) {
      if (total <= limitBytes) return;
      if (each.users > 0) continue;
      stored.delete(key);
      await rm(each.dir, { recursive: true, force: true });
      total -= bytes;
    }
  }

  return {
    /**
     * @returns the model's directory, and what to call when it is no longer read
     * @throws Refusal if it has been deleted or is damaged; errors of the store
     */
    async use(model: StoredModel): Promise<{ key: string; dir: string; leave(): void }> {
      // A folder of the object store is written once.
      const key = createHash('sha256').update(model.folder).digest('hex');
      let one = stored.get(key);
      if (one === undefined) {
        const dir = join(root, key);
        one = { fetching: fetch(model, dir), dir, users: 0, usedMs: 0 };
        stored.set(key, one);
      }
      const { dir } = one;
      const used = one;
      used.users++;
      try {
        await used.fetching;
      } catch (error) {
        used.users--;
        stored.delete(key);
        throw error;
      }
      used.usedMs = Date.now();
      await removeOldest();
      return { key, dir, leave: () => void used.users-- };
    },
  };
}
