/** What the sweeps of base models on this machine's disk have in common: a limit, and a time after which what nobody continues or needs goes. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lastUsedMs, removeUnheld } from './held-directory.ts';

/** What was cut off and not continued for this long is given up; what no model on disk is the source of is removed. */
export const GIVE_UP_AFTER_MS = 7 * 24 * 3_600_000;
/** Left behind by whoever was killed while it made a directory, or removed one. */
export const UNFINISHED = /\.(partial|removed)$/;

export interface Kept {
  dir: string;
  sizeBytes: number;
  /** When one of its files was last written. */
  writtenMs: number;
  /** null: not since it was made. */
  usedMs: number | null;
}

/** @returns null if it has been removed in the meantime */
export async function kept(dir: string): Promise<Kept | null> {
  try {
    const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const stats = await Promise.all(files.map(({ parentPath, name }) => stat(join(parentPath, name))));
    const times = stats.length > 0 ? stats : [await stat(dir)];
    return {
      dir,
      sizeBytes: stats.reduce((sum, { size }) => sum + size, 0),
      writtenMs: Math.max(...times.map(({ mtimeMs }) => mtimeMs)),
      usedMs: await lastUsedMs(dir),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

export const ageMs = (thenMs: number): number => Date.now() - thenMs;

interface Limit {
  /** How much all of them together may take, bytes; null: no limit. */
  limitBytes: number | null;
  /** They stay, even past the limit. */
  isNeeded(one: Kept): boolean;
}

/** Removes directories until the rest is within the limit, those used least recently first, but none that is needed or held. @returns those that were removed */
export async function keepWithin(all: readonly Kept[], { limitBytes, isNeeded }: Limit): Promise<Kept[]> {
  if (limitBytes === null) return [];
  const removed: Kept[] = [];
  let totalBytes = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  for (const one of all.toSorted((a, b) => sinceMs(a) - sinceMs(b))) {
    if (totalBytes <= limitBytes) break;
    if (isNeeded(one) || !(await removeUnheld(one.dir, one.usedMs))) continue;
    totalBytes -= one.sizeBytes;
    removed.push(one);
  }
  return removed;
}

const sinceMs = ({ usedMs, writtenMs }: Kept): number => usedMs ?? writtenMs;
