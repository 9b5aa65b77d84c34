import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve, sep } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkedFolder, checkedKey, checkedPrefix } from '../../src/object-store/checked-key.ts';
import { openLocalStore } from '../../src/object-store/local.ts';
import { snapshotDir } from '../../workers/base-models/snapshots.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'graft-traversal-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** Keys of pieces that matter in a path, the same in every run. */
function* keys(count: number): Generator<string> {
  const pieces = ['a', '..', '.', '/', '//', '\\', '\0', '~', '%2e%2e', '．．', ' ', 'C:', '.hidden', 'files', '-', '*', '\n', 'é'];
  let state = 7;
  const next = (below: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
  for (let made = 0; made < count; made++)
    yield Array.from({ length: 1 + next(8) }, () => pieces[next(pieces.length)]!).join(next(3) === 0 ? '/' : '');
}

const isInside = (root: string, path: string): boolean => resolve(path).startsWith(resolve(root) + sep);

describe('a path that is made of names from outside', () => {
  it('is inside its root, or refused, for 100,000 hostile keys', () => {
    let accepted = 0;
    for (const key of keys(100_000)) {
      for (const checked of [checkedKey, checkedPrefix, checkedFolder]) {
        try {
          const path = join('/store', checked(key));
          accepted += 1;
          expect(isInside('/store', path) || key === '', JSON.stringify(key)).toBe(true);
        } catch (error) {
          expect((error as Error).message).toMatch(/not a valid object key|not a folder/);
        }
      }
      try {
        expect(isInside('/data/hub', snapshotDir('/data', { name: key, commit: 'a'.repeat(40) })), JSON.stringify(key)).toBe(true);
      } catch (error) {
        expect((error as Error).message).toMatch(/not a valid object key/);
      }
    }
    expect(accepted).toBeGreaterThan(1_000);
  });

  it('reads, writes and deletes nothing outside the store', async () => {
    await writeFile(join(home, 'outside'), 'mine');
    const store = await openLocalStore(join(home, 'store'));
    for (const key of ['../outside', 'a/../../outside', '/outside', `${home}/outside`, 'a/./../outside', '..', '.', '']) {
      await expect(store.put(key, 'x')).rejects.toThrow();
      await expect(store.get(key)).rejects.toThrow();
      await expect(store.delete(key)).rejects.toThrow();
      await expect(store.deletePrefix(`${key}/`)).rejects.toThrow();
    }
    expect((await readdir(home)).sort()).toEqual(['outside', 'store']);
  });
});
