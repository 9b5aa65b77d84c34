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

/** The snapshot of each model that was downloaded most recently, sorted by name. */
export async function newestSnapshots(dataDir: string): Promise<Snapshot[]> {
  const found: Snapshot[] = [];
  for (const org of await entries(join(dataDir, 'hub'))) {
    for (const repository of await entries(join(dataDir, 'hub', org))) {
      const name = `${org}/${repository}`;
      const snapshots = await Promise.all(
        (await entries(join(dataDir, 'hub', name)))
          .filter((commit) => COMMIT.test(commit))
          .map(async (commit) => {
            const dir = snapshotDir(dataDir, { name, commit });
            return { name, commit, dir, writtenMs: (await stat(dir)).mtimeMs };
          }),
      );
      const newest = snapshots.sort((a, b) => b.writtenMs - a.writtenMs || (a.commit < b.commit ? -1 : 1))[0];
      if (newest !== undefined) found.push({ name, commit: newest.commit, dir: newest.dir });
    }
  }
  return found;
}

const entries = async (dir: string): Promise<string[]> => (await readdir(dir).catch(() => [])).sort();
