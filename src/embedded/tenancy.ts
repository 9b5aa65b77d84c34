/**
 * Who uses a server of one DATA_DIR. Several processes may (a service, and a worker beside it): the first starts
 * it, the last stops it, and after a kill -9 the next one takes over.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileLock } from '../file-lock.ts';
import { startTicks } from './command.ts';

const LOCK_PATIENCE_MS = 90_000;
let tenancies = 0;

/** Runs `work` while no other process does so for the same directory. */
export async function whileLocked<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const impatient = AbortSignal.timeout(LOCK_PATIENCE_MS);
  try {
    return await withFileLock(join(directory, 'servers.lock'), impatient, work);
  } catch (error) {
    if (error !== impatient.reason) throw error;
    throw new Error(`Another process has been starting or stopping the servers in ${directory} for ${LOCK_PATIENCE_MS / 1000} seconds`);
  }
}

/** Writes this process into a directory of users. @returns what takes it out again and tells whether it was the last */
export async function signIn(users: string): Promise<{ signOut(): Promise<{ last: boolean }> }> {
  await mkdir(users, { recursive: true, mode: 0o700 });
  tenancies += 1;
  const me = `${process.pid}-${await startTicks(process.pid)}-${tenancies}`;
  await writeFile(join(users, me), '');
  return {
    async signOut() {
      await rm(join(users, me), { force: true });
      let living = 0;
      for (const user of await readdir(users)) {
        const [pid, born] = user.split('-');
        if ((await startTicks(Number(pid))) === born) living += 1;
        else await rm(join(users, user), { force: true });
      }
      return { last: living === 0 };
    },
  };
}
