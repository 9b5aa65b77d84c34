/**
 * Models in Hugging Face's own cache (`~/.cache/huggingface/hub`): `models--{org}--{name}/snapshots/{commit}`, whose files link to `blobs`, with the
 * commit of each branch in `refs`.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CONFIG_FILE } from '../../src/formats/model-files.ts';
import { checkedKey } from '../../src/object-store/checked-key.ts';
import type { Snapshot } from './snapshots.ts';

const FOLDER_PREFIX = 'models--';

/** @returns the model of a folder of the cache: at `main` if that has been downloaded, else at the commit that was downloaded last; null for another folder */
export async function cachedModel(dir: string, folder: string): Promise<Snapshot | null> {
  if (!folder.startsWith(FOLDER_PREFIX)) return null;
  const name = folder.slice(FOLDER_PREFIX.length).replace('--', '/');
  const main = (await readFile(join(dir, 'refs', 'main'), 'utf8').catch(() => '')).trim();
  const commits = await Promise.all(
    (await readdir(join(dir, 'snapshots')).catch(() => [])).map(async (commit) => {
      const snapshot = join(dir, 'snapshots', commit);
      return {
        name,
        commit,
        dir: snapshot,
        writtenMs: await stat(join(snapshot, CONFIG_FILE)).then(
          ({ mtimeMs }) => mtimeMs,
          () => null,
        ),
      };
    }),
  );
  const usable = commits.flatMap(({ writtenMs, ...snapshot }) => (writtenMs === null ? [] : [{ ...snapshot, writtenMs }]));
  usable.sort((a, b) => Number(b.commit === main) - Number(a.commit === main) || b.writtenMs - a.writtenMs || (a.commit < b.commit ? -1 : 1));
  const [chosen] = usable;
  return chosen === undefined ? null : { name, commit: chosen.commit, dir: chosen.dir };
}

/** @returns the directory of a model at exactly this commit in one of the directories: a cache, the parent of its `hub`, or the model's folder; null if none has it */
export function cachedSnapshot(caches: readonly string[], { name, commit }: Pick<Snapshot, 'name' | 'commit'>): string | null {
  const folder = `${FOLDER_PREFIX}${name.replaceAll('/', '--')}`;
  const folders = caches.flatMap((cache) => [join(cache, folder), join(cache, 'hub', folder), ...(basename(cache) === folder ? [cache] : [])]);
  const dirs = folders.map((dir) => join(dir, 'snapshots', checkedKey(commit)));
  return dirs.find((dir) => existsSync(join(dir, CONFIG_FILE))) ?? null;
}
