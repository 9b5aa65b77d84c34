/** Keeps the models that were downloaded from the hub within their limit on this machine's disk. */
import { readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { HubModel } from '../../src/hub/hub.ts';
import { allSnapshots, downloadedEntries, snapshotDir } from './snapshots.ts';

/** A download that was cut off and not continued for this long is given up. */
const GIVE_UP_AFTER_MS = 7 * 24 * 3_600_000;
const UNFINISHED = /\.(partial|removed)$/;

/** Remembers that a job used a snapshot: those used least recently are removed first. */
export async function markUsed(dir: string): Promise<void> {
  const now = new Date();
  await utimes(markOf(dir), now, now).catch(() => writeFile(markOf(dir), ''));
}

const markOf = (dir: string): string => `${dir}.used`;

interface Sweep {
  dataDir: string;
  /** How much all snapshots together may take, bytes; null: no limit. */
  limitBytes: number | null;
  /** Those that unfinished jobs train on: they are kept, even past the limit. */
  inUse: readonly Pick<HubModel, 'name' | 'commit'>[];
  log: Logger;
}

/** Removes downloads that were given up, and past the limit the snapshots used least recently, which a job that needs them downloads again. */
export async function sweepDownloads({ dataDir, limitBytes, inUse, log }: Sweep): Promise<void> {
  const needed = new Set(inUse.map((model) => snapshotDir(dataDir, model)));
  for (const { name, entry } of await downloadedEntries(dataDir)) {
    const dir = join(dataDir, 'hub', name, entry);
    if (!UNFINISHED.test(entry) || needed.has(dir.replace(UNFINISHED, ''))) continue;
    if (Date.now() - (await contents(dir)).writtenMs < GIVE_UP_AFTER_MS) continue;
    await rm(dir, { recursive: true, force: true });
    log.info({ model: name, dir }, 'removed a download that was given up');
  }
  if (limitBytes === null) return;
  const snapshots = await Promise.all(
    (await allSnapshots(dataDir)).map(async (one) => ({ ...one, ...(await contents(one.dir)), ...(await use(one)) })),
  );
  let totalBytes = snapshots.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  for (const { dir, name, commit, sizeBytes } of snapshots.sort((a, b) => a.usedMs - b.usedMs)) {
    if (totalBytes <= limitBytes) return;
    if (needed.has(dir)) continue;
    await rename(dir, `${dir}.removed`); // under its own name it is complete or not there
    for (const rest of [`${dir}.removed`, markOf(dir)]) await rm(rest, { recursive: true, force: true });
    totalBytes -= sizeBytes;
    log.info({ model: name, commit, sizeBytes, limitBytes }, 'removed a downloaded model to stay within the limit');
  }
}

/** Size of all files, and when one of them was last written. */
async function contents(dir: string): Promise<{ sizeBytes: number; writtenMs: number }> {
  const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const stats = await Promise.all([stat(dir), ...files.map(({ parentPath, name }) => stat(join(parentPath, name)))]);
  return {
    sizeBytes: stats.slice(1).reduce((sum, { size }) => sum + size, 0),
    writtenMs: Math.max(...stats.map(({ mtimeMs }) => mtimeMs)),
  };
}

async function use({ dir, writtenMs }: { dir: string; writtenMs: number }): Promise<{ usedMs: number }> {
  return { usedMs: (await stat(markOf(dir)).catch(() => null))?.mtimeMs ?? writtenMs };
}
