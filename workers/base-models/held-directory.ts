/**
 * Directories of base models under DATA_DIR, which jobs, answers and exports of all workers there read, and which a sweep of any of them removes once nobody does.
 * Beside a directory lie `{dir}.lock`, which whoever makes it has alone, `{dir}.held`, which all who use it share, and `{dir}.used`, as old as its last use.
 */
import { existsSync } from 'node:fs';
import { rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { ifUnlocked, shareFileLock, withFileLock } from '../../src/file-lock.ts';

/** A directory that no sweep removes. */
export interface HeldDirectory {
  dir: string;
  /** Call when it is no longer read. The death of the process does the same. */
  leave(): Promise<void>;
}

/** One that no sweep knows. */
export const unswept = (dir: string): HeldDirectory => ({ dir, leave: async () => {} });

const heldBy = (dir: string): string => `${dir}.held`;
const markOf = (dir: string): string => `${dir}.used`;

/**
 * @param make puts the directory in its place when it is complete; called if it is not there, by one process at a time
 * @throws what `make` throws; the signal's reason
 */
export async function holdDirectory(dir: string, { signal, make }: { signal: AbortSignal; make(): Promise<void> }): Promise<HeldDirectory> {
  const lock = await shareFileLock(heldBy(dir), signal);
  try {
    const makeOnce = async () => {
      if (!existsSync(dir)) await make(); // another job may have made it in the meantime
    };
    if (!existsSync(dir)) await withFileLock(`${dir}.lock`, signal, makeOnce);
    await markUsed(dir);
    return { dir, leave: lock.release };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Remembers that it was used now: those used least recently are removed first. */
async function markUsed(dir: string): Promise<void> {
  const now = new Date();
  await utimes(markOf(dir), now, now).catch(() => writeFile(markOf(dir), ''));
}

/** @returns null if it was not used since it was made */
export const lastUsedMs = async (dir: string): Promise<number | null> => (await stat(markOf(dir)).catch(() => null))?.mtimeMs ?? null;

/** Removes a directory unless somebody holds it, or has used it since it was last looked at. @returns whether */
export async function removeUnheld(dir: string, seenUsedMs: number | null): Promise<boolean> {
  let isRemoved = false;
  await ifUnlocked(heldBy(dir), async () => {
    if (!existsSync(dir) || (await lastUsedMs(dir)) !== seenUsedMs) return;
    await rename(dir, `${dir}.removed`); // under its own name it is complete or not there
    for (const rest of [`${dir}.removed`, markOf(dir), heldBy(dir)]) await rm(rest, { recursive: true, force: true });
    isRemoved = true;
  });
  return isRemoved;
}
