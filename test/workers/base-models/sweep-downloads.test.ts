import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HeldDirectory, holdDirectory } from '../../../workers/base-models/held-directory.ts';
import { allSnapshots, snapshotDir } from '../../../workers/base-models/snapshots.ts';
import { sweepDownloads } from '../../../workers/base-models/sweep-downloads.ts';

const log = pino({ level: 'silent' });
const HOUR_MS = 3_600_000;
const commit = (digit: number) => String(digit).repeat(40);

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'graft-downloads-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

/** A directory with 1,000 bytes that was written some hours ago. */
async function make(dir: string, agoHours: number): Promise<string> {
  await mkdir(dir, { recursive: true });
  const time = new Date(Date.now() - agoHours * HOUR_MS);
  await writeFile(join(dir, 'model.safetensors'), Buffer.alloc(1_000));
  for (const path of [join(dir, 'model.safetensors'), dir]) await utimes(path, time, time);
  return dir;
}
const snapshot = (digit: number, agoHours: number) => make(snapshotDir(dataDir, { name: 'org/model', commit: commit(digit) }), agoHours);
const hold = (dir: string): Promise<HeldDirectory> =>
  holdDirectory(dir, { signal: new AbortController().signal, make: () => Promise.reject(new Error('it is there')) });
const left = async () => (await allSnapshots(dataDir)).map((one) => one.commit[0]).join('');

describe('the sweep of downloaded models', () => {
  it('past the limit › removes those used least recently, but none that an unfinished job trains on', async () => {
    await snapshot(1, 50);
    await snapshot(2, 40);
    await snapshot(3, 30);
    await (await hold(await snapshot(4, 60))).leave();
    const inUse = [{ name: 'org/model', commit: commit(1) }];
    await sweepDownloads({ dataDir, limitBytes: null, inUse, log });
    expect(await left()).toBe('1234');
    await sweepDownloads({ dataDir, limitBytes: 3_000, inUse, log });
    expect(await left()).toBe('134');
    await sweepDownloads({ dataDir, limitBytes: 0, inUse, log });
    expect(await left()).toBe('1');
    expect(await readdir(join(dataDir, 'hub', 'org', 'model'))).toEqual([commit(1)]);
  });

  it('past the limit › keeps a snapshot that somebody reads, and removes it once it is left', async () => {
    const { leave } = await hold(await snapshot(1, 50));
    const sweep = () => sweepDownloads({ dataDir, limitBytes: 0, inUse: [], log });
    await sweep();
    expect(await left()).toBe('1');
    await leave();
    await sweep();
    expect(await left()).toBe('');
  });

  it('removes a download that nobody continued for a week, and none that was continued yesterday', async () => {
    const dir = (digit: number) => `${snapshotDir(dataDir, { name: 'org/model', commit: commit(digit) })}.partial`;
    await make(dir(1), 8 * 24);
    await make(dir(2), 24);
    await sweepDownloads({ dataDir, limitBytes: null, inUse: [], log });
    expect(await readdir(join(dataDir, 'hub', 'org', 'model'))).toEqual([`${commit(2)}.partial`]);
  });
});
