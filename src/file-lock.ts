/** Locks between processes, on this machine or any other that shares the file's directory. */
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const { tryLock } = createRequire(import.meta.url)('fs-native-extensions') as { tryLock(fd: number, options?: { shared: boolean }): boolean };

const POLL_EVERY_MS = 100;

/** A lock that is held. */
export interface FileLock {
  release(): Promise<void>;
}

/**
 * Runs `work` under the kernel's lock on a file (fcntl, F_OFD_SETLK), which is released the moment its holder closes the file or dies: it can neither
 * go stale nor be stolen. The empty file remains.
 * @throws the signal's reason when it is aborted while waiting
 */
export async function withFileLock<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return whileLocked(await untilLocked(path, { shared: false, signal }), work);
}

/**
 * The same lock, shared by all who take it so: while one of them has it, nobody has it alone.
 * @throws the signal's reason when it is aborted while waiting
 */
export async function shareFileLock(path: string, signal: AbortSignal): Promise<FileLock> {
  const file = await untilLocked(path, { shared: true, signal });
  return { release: () => file.close() };
}

/** Runs `work` under the lock unless somebody else has it. The file may be removed by `work`. @returns whether `work` was run */
export async function ifUnlocked(path: string, work: () => Promise<void>): Promise<boolean> {
  const file = await locked(path, { shared: false });
  if (file === null) return false;
  await whileLocked(file, work);
  return true;
}

async function whileLocked<T>(file: FileHandle, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await file.close();
  }
}

async function untilLocked(path: string, { shared, signal }: { shared: boolean; signal: AbortSignal }): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true });
  for (;;) {
    const file = await locked(path, { shared });
    if (file !== null) return file;
    signal.throwIfAborted();
    await delay(POLL_EVERY_MS);
  }
}

/** @returns null if somebody else has the lock, or removed the file while it was opened */
async function locked(path: string, options: { shared: boolean }): Promise<FileHandle | null> {
  const file = await open(path, 'a+'); // a shared lock needs a file that can be read
  try {
    if (tryLock(file.fd, options) && (await isAt(path, file))) return file;
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return null;
}

async function isAt(path: string, file: FileHandle): Promise<boolean> {
  const [there, opened] = await Promise.all([stat(path).catch(() => null), file.stat()]);
  return there !== null && there.ino === opened.ino && there.dev === opened.dev;
}
