/**
 * Who uses a server of one DATA_DIR. Several processes may (a service, and a worker beside it): the first starts
 * it, the last stops it, and after a kill -9 the next one takes over.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startTicks } from './command.ts';

const lockPatienceMs = 90_000;
let tenancies = 0;

/** Runs `work` while no other process does so for the same directory. */
export async function whileLocked<T>(directory: string, work: () => Promise<T>): Promise<T> {
  // An abstract socket's name is free again the moment its process dies: a lock that cannot go stale.
  const name = `\0graft-${createHash('sha256')
    .update(await realpath(directory))
    .digest('hex')}`;
  const deadline = Date.now() + lockPatienceMs;
  let lock = await takeName(name);
  while (lock === null) {
    if (Date.now() > deadline) throw new Error(`Another process has been starting or stopping the servers in ${directory} for 90 seconds.`);
    await delay(50);
    lock = await takeName(name);
  }
  try {
    return await work();
  } finally {
    const held = lock;
    await new Promise((done) => held.close(done));
  }
}

function takeName(name: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(null) : reject(error)));
    server.listen(name, () => resolve(server));
  });
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
