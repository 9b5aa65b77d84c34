/**
 * Tracks which processes use the servers of one DATA_DIR, such as a service and a worker beside it. The first starts
 * them, the last stops them, and after a kill -9 the next one takes over.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileLock } from '../file-lock.ts';
import { startTicks } from '../process-identity.ts';

const LOCK_TIMEOUT_MS = 90_000;
let tenancies = 0;

/** Runs `work` while no other process holds the lock of this directory. @param signal ends the wait for it */
export async function whileLocked<T>(directory: string, work: () => Promise<T>, signal = new AbortController().signal): Promise<T> {
  const timeout = AbortSignal.timeout(LOCK_TIMEOUT_MS);
  try {
    return await withFileLock(join(directory, 'servers.lock'), AbortSignal.any([timeout, signal]), work);
  } catch (error) {
    if (error !== timeout.reason) throw error;
    throw new Error(`Another process has been starting or stopping the servers in ${directory} for ${LOCK_TIMEOUT_MS / 1000} seconds`);
  }
}

/** Registers this process as a user of a server. @returns a function that unregisters it and reports whether it was the last */
export async function signIn(users: string): Promise<{ signOut(): Promise<{ last: boolean }> }> {
  await mkdir(users, { recursive: true, mode: 0o700 });
  tenancies += 1;
  const me = `${process.pid}-${await startTicks(process.pid)}-${tenancies}`;
  await writeFile(join(users, me), '');
  return {
    async signOut() {
      await rm(join(users, me), { force: true });
      let remaining = 0;
      for (const user of await readdir(users)) {
        const [pid, startedAt] = user.split('-');
        if ((await startTicks(Number(pid))) === startedAt) remaining += 1;
        else await rm(join(users, user), { force: true });
      }
      return { last: remaining === 0 };
    },
  };
}
