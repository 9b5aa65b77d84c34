/** Where models from the hub are stored: `DATA_DIR/hub/{org}/{name}/{commit}`, a directory that exists only once it is complete. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkedKey } from '../../src/object-store/checked-key.ts';

const COMMIT = /^[0-9a-f]{40}$/;

export interface Snapshot {
  /** `org/name` */
  name: string;
  commit: string;
  dir: string;
}

/** @throws Error for a name or commit that would lead out of the directory */
export const snapshotDir = (dataDir: string, { name, commit }: Pick<Snapshot, 'name' | 'commit'>): string =>
  join(dataDir, 'hub', checkedKey(`${name}/${commit}`));

/** What is in the folder of each model, complete or not: `{commit}`, `{commit}.partial`, … */
export async function downloadedEntries(dataDir: string): Promise<{ name: string; entry: string }[]> {
  const found: { name: string; entry: string }[] = [];
  for (const org of await entries(join(dataDir, 'hub'))) {
    for (const repository of await entries(join(dataDir, 'hub', org))) {
      const name = `${org}/${repository}`;
      for (const entry of await entries(join(dataDir, 'hub', name))) found.push({ name, entry });
    }
  }
  return found;
}

/** Every snapshot, sorted by name and commit. */
export async function allSnapshots(dataDir: string): Promise<(Snapshot & { writtenMs: number })[]> {
  const complete = (await downloadedEntries(dataDir)).filter(({ entry }) => COMMIT.test(entry));
  return Promise.all(
    complete.map(async ({ name, entry: commit }) => {
      const dir = snapshotDir(dataDir, { name, commit });
      return { name, commit, dir, writtenMs: (await stat(dir)).mtimeMs };
    }),
  );
}

/** The snapshot of each model that was downloaded most recently, sorted by name. */
export async function newestSnapshots(dataDir: string): Promise<Snapshot[]> {
  const newest = new Map<string, Snapshot & { writtenMs: number }>();
  for (const snapshot of await allSnapshots(dataDir)) {
    if (snapshot.writtenMs > (newest.get(snapshot.name)?.writtenMs ?? 0)) newest.set(snapshot.name, snapshot);
  }
  return [...newest.values()].map(({ writtenMs, ...snapshot }) => snapshot);
}

const entries = async (dir: string): Promise<string[]> => (await readdir(dir).catch(() => [])).sort();
