/** Tuned models on this machine's disk, fetched from the object store when they are first asked for; those used least recently leave past the limit. */
import { createHash, randomUUID } from 'node:crypto';
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
  fetching: Promise<void>;
  /** Its own alone: the same model may be fetched again while this directory is removed. */
  dir: string;
  /** 0 until it is fetched. */
  bytes: number;
  users: number;
  usedMs: number;
}

export function openStoredModels({ objectStore, dir: root, limitBytes }: Options) {
  const stored = new Map<string, Stored>();

  function fetch(model: StoredModel): Stored {
    const dir = join(root, randomUUID());
    const fetched: Stored = { fetching: Promise.resolve(), dir, bytes: 0, users: 0, usedMs: 0 };
    const run = async () => {
      await mkdir(dir, { recursive: true });
      await fetchStoredModel(model, dir, objectStore);
      fetched.bytes = (await filesIn(dir)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    };
    fetched.fetching = run();
    return fetched;
  }

  async function removeOldest(): Promise<void> {
    const total = () => [...stored.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    for (const [key, each] of [...stored].sort(([, a], [, b]) => a.usedMs - b.usedMs)) {
      if (total() <= limitBytes) return;
      if (each.users > 0 || stored.get(key) !== each) continue;
      stored.delete(key);
      await rm(each.dir, { recursive: true, force: true });
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
      const used = stored.get(key) ?? fetch(model);
      stored.set(key, used);
      used.users++;
      try {
        await used.fetching;
      } catch (error) {
        used.users--;
        if (stored.get(key) === used) stored.delete(key);
        await rm(used.dir, { recursive: true, force: true });
        throw error;
      }
      used.usedMs = Date.now();
      await removeOldest();
      return { key, dir: used.dir, leave: () => void used.users-- };
    },
  };
}
