import { mkdir, open, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Whoever holds a lock touches it this often. */
const TOUCH_EVERY_MS = 5_000;
/** Not touched for this long, its holder is gone: killed, or with its machine. Slack for slow disks and clocks that differ a little. */
const STALE_AFTER_MS = 60_000;
const LOOK_EVERY_MS = 250;

/**
 * Does something that one process at a time may do, on this machine or any other that shares the directory. The lock is a file that is made if
 * it is not there; a holder that dies leaves it to grow stale.
 * @throws the signal's reason when it is aborted while waiting
 */
export async function withFileLock<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  while (!(await take(path))) {
    await removeStale(path);
    await delay(LOOK_EVERY_MS, undefined, { signal });
  }
  const touching = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), TOUCH_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(touching);
    await rm(path, { force: true });
  }
}

async function take(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx')).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Renamed first: of several that find it stale, one moves it away. */
async function removeStale(path: string): Promise<void> {
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
  if (Date.now() - mtimeMs < STALE_AFTER_MS) return;
  const aside = `${path}.stale-${process.pid}`;
  await rename(path, aside).then(
    () => rm(aside, { force: true }),
    () => {}, // another one was faster
  );
}
