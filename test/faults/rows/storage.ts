/** A store or disk that is full, read-only, slow or away for a while, and memory that runs out. */
import { existsSync, mkdirSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startS3Server } from '../../object-store/s3-server.ts';
import { type Fault, plain, type Try } from '../fault.ts';
import { command, type Home } from '../home.ts';
import { openStoreProxy, type StoreMode } from '../store-proxy.ts';

/** Long enough for several writes to fail. */
const AWAY_MS = 10_000;
/** For the objects of a row's jobs; a graft-tiny checkpoint has less than 1 MB. */
const STORE_MB = 512;

/** Fills the file system that a folder is on. */
function fill(dir: string): string {
  const file = join(dir, '.filler');
  const { bavail, bsize } = statfsSync(dir);
  const block = Buffer.alloc(1024 * 1024);
  try {
    for (let written = 0; written < bavail * bsize + block.length; written += block.length) writeFileSync(file, block, { flag: 'a' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  return file;
}

/** A file system of its own for one folder of the service, in memory. */
function mounted(name: string, folder: (home: Home) => string, sizeMb: number, disturb: (dir: string, one: Try) => Promise<void>): Fault {
  return {
    name,
    open(home) {
      const dir = folder(home);
      home.mountTmpfs(dir, sizeMb);
      return {
        async disturb(one) {
          await one.untilRandomMoment();
          await disturb(dir, one);
          one.canContinue();
          if (!one.service.isUp()) await one.service.start();
        },
      };
    },
  };
}

async function fillForAWhile(dir: string): Promise<void> {
  const filler = fill(dir);
  await delay(AWAY_MS);
  rmSync(filler, { force: true });
}

/** A file system cannot be made read-only while a file is open for writing. */
async function remountReadOnly(dir: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      command('mount', '-o', 'remount,ro', dir);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(20);
    }
  }
}

const objects = ({ dataDir }: Home): string => join(dataDir, 'objects');

const s3Fault = (name: string, mode: StoreMode, ms: number): Fault => ({
  name,
  async open() {
    const s3 = await startS3Server();
    const proxy = await openStoreProxy(s3.endpoint);
    return {
      env: {
        STORAGE_URL: `s3://${s3.bucket}/graft?endpoint=${encodeURIComponent(proxy.endpoint)}`,
        AWS_ACCESS_KEY_ID: process.env['AWS_ACCESS_KEY_ID']!,
        AWS_SECRET_ACCESS_KEY: process.env['AWS_SECRET_ACCESS_KEY']!,
      },
      async disturb(one) {
        await one.untilRandomMoment();
        proxy.set(mode);
        await delay(ms);
        proxy.set('well');
      },
      async close() {
        await proxy.close();
        await s3.close();
      },
    };
  },
});

/** A limit of its own for the process that trains, so that the kernel kills it and nothing else. cgroups v1, as root. */
const MEMORY_GROUP = '/sys/fs/cgroup/memory/graft-faults';
const MEMORY_LEFT_BYTES = 2 * 1024 * 1024;

export const storageFaults: readonly Fault[] = [
  mounted('object store full for ten seconds', objects, STORE_MB, fillForAWhile),
  mounted('object store read-only for ten seconds', objects, STORE_MB, async (dir) => {
    await remountReadOnly(dir);
    await delay(AWAY_MS);
    command('mount', '-o', 'remount,rw', dir);
  }),
  s3Fault('object store (S3) refuses writes for ten seconds', 'read-only', AWAY_MS),
  s3Fault('object store (S3) full for ten seconds', 'full', AWAY_MS),
  s3Fault('object store (S3) away for ten seconds', 'away', AWAY_MS),
  s3Fault('object store (S3) slow: a second each request', 1_000, AWAY_MS),
  mounted('disk of the training folders full for ten seconds', ({ dataDir }) => join(dataDir, 'work'), STORE_MB, fillForAWhile),
  mounted('disk of DATA_DIR full for ten seconds', ({ dataDir }) => dataDir, 2 * STORE_MB, fillForAWhile),

  plain('training process out of memory', async (one) => {
    await one.untilProgress();
    const training = one.service.trainingProcess(one.jobId);
    if (training === null) return;
    const { pid } = training;
    if (!existsSync(MEMORY_GROUP)) mkdirSync(MEMORY_GROUP);
    writeFileSync(join(MEMORY_GROUP, 'memory.limit_in_bytes'), String(MEMORY_LEFT_BYTES));
    try {
      writeFileSync(join(MEMORY_GROUP, 'cgroup.procs'), String(pid)); // what it uses already is not counted
    } catch {
      return; // it has ended
    }
    one.canContinue();
    const deadline = Date.now() + 30_000;
    while (existsSync(`/proc/${pid}`) && Date.now() < deadline) await delay(50);
    rmdirSync(MEMORY_GROUP);
  }),
];
