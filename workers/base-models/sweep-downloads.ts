/** Keeps the models that were downloaded from the hub within their limit on this machine's disk. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { HubModel } from '../../src/hub/hub.ts';
import { ageMs, GIVE_UP_AFTER_MS, keepWithin, kept, UNFINISHED } from './keep-within.ts';
import { allSnapshots, downloadedEntries, snapshotDir } from './snapshots.ts';

interface Sweep {
  dataDir: string;
  /** How much all snapshots together may take, bytes; null: no limit. */
  limitBytes: number | null;
  /** Those that unfinished jobs train on: they are kept, even past the limit. */
  inUse: readonly Pick<HubModel, 'name' | 'commit'>[];
  log: Logger;
}

/** Removes downloads that were given up, and past the limit the snapshots used least recently, which a job that needs them downloads again. What anybody holds stays. */
export async function sweepDownloads({ dataDir, limitBytes, inUse, log }: Sweep): Promise<void> {
  const needed = new Set(inUse.map((model) => snapshotDir(dataDir, model)));
  for (const { name, entry } of await downloadedEntries(dataDir)) {
    const dir = join(dataDir, 'hub', name, entry);
    if (!UNFINISHED.test(entry) || needed.has(dir.replace(UNFINISHED, ''))) continue;
    const one = await kept(dir);
    if (one === null || ageMs(one.writtenMs) < GIVE_UP_AFTER_MS) continue;
    await rm(dir, { recursive: true, force: true });
    log.info({ model: name, dir }, 'removed a download that was given up');
  }
  if (limitBytes === null) return;
  const snapshots = await allSnapshots(dataDir);
  const found = (await Promise.all(snapshots.map(({ dir }) => kept(dir)))).filter((one) => one !== null);
  for (const { dir, sizeBytes } of await keepWithin(found, { limitBytes, isNeeded: ({ dir }) => needed.has(dir) })) {
    const { name: model, commit } = snapshots.find((one) => one.dir === dir)!;
    log.info({ model, commit, sizeBytes, limitBytes }, 'removed a downloaded model to stay within the limit');
  }
}
