/** A lock between processes, on this machine or any other that shares the file's directory. */
import { mkdir, open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const { tryLock } = createRequire(import.meta.url)('fs-native-extensions') as { tryLock(fd: number): boolean };

const POLL_EVERY_MS = 100;

/**
 * Runs `work` under the kernel's lock on a file (fcntl, F_OFD_SETLK), which is released the moment its holder closes the file or dies: it can neither
 * go stale nor be stolen. The empty file remains.
 * @throws the signal's reason when it is aborted while waiting
 */
export async function withFileLock<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'a');
  try {
    while (!tryLock(file.fd)) {
      signal.throwIfAborted();
      await delay(POLL_EVERY_MS);
    }
    return await work();
  } finally {
    await file.close();
  }
}
