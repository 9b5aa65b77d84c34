/** Postgres and Redis that are killed, stopped, emptied or cut off. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { socketDirectory } from '../../../src/embedded/sockets.ts';
import { openQueue } from '../../../src/jobs/queue.ts';
import { type Fault, plain, type Try } from '../fault.ts';
import { ownPostgres, ownValkey } from '../own-servers.ts';
import { openPostgresProxy } from '../postgres-proxy.ts';
import { signal } from '../processes.ts';

const A_MINUTE_MS = 60_000;

const CUT_ALL = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()';

/** Allows the service to end when a server is gone, with a message, and starts it again, as a service manager does. */
async function startIfEnded({ service }: Try): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (service.isUp() && Date.now() < deadline) await delay(100);
  if (!service.isUp()) await service.start();
}

const embeddedValkey = async ({ service }: Try): Promise<string> => join(await socketDirectory(service.home.dataDir), 'valkey.sock');

async function flush(socket: string): Promise<void> {
  const client = new Redis(socket, { maxRetriesPerRequest: 3 });
  client.on('error', () => {});
  try {
    await client.flushall();
  } finally {
    client.disconnect();
  }
}

export const serverFaults: readonly Fault[] = [
  plain('Redis flushed', async (one) => {
    await one.untilRandomMoment();
    await flush(await embeddedValkey(one));
  }),

  plain('Redis killed', async (one) => {
    await one.untilRandomMoment();
    for (const { pid } of one.service.processes('valkey')) signal(pid, 'SIGKILL');
    one.canContinue();
    await startIfEnded(one);
  }),

  {
    name: 'Redis restarted empty',
    async open(home) {
      const valkey = await ownValkey(join(home.dataDir, '../valkey'));
      return {
        env: { REDIS_URL: valkey.url() },
        async disturb(one) {
          await one.untilRandomMoment();
          await valkey.restartEmpty();
        },
        close: () => valkey.stop(),
      };
    },
  },

  plain('Postgres killed', async (one) => {
    await one.untilRandomMoment();
    for (const { pid } of one.service.processes('postgres')) signal(pid, 'SIGKILL');
    one.canContinue();
    await startIfEnded(one);
  }),

  plain('connections to Postgres cut three times', async (one) => {
    for (let cut = 0; cut < 3; cut++) {
      await delay((one.random.next() * 2_000) / (cut + 1));
      await one.truth.query(CUT_ALL);
    }
  }),

  ...['running', 'succeeded'].map(
    (status): Fault => ({
      name: `connection cut right after the commit of "${status}"`,
      async open(home) {
        const postgres = await ownPostgres(join(home.dataDir, '../postgres'));
        const proxy = await openPostgresProxy(postgres.url());
        return {
          env: { DATABASE_URL: proxy.url },
          databaseUrl: postgres.url(),
          disturb: (one) => proxy.cutAfter(status, 1 + one.random.below(2)),
          async close() {
            await proxy.close();
            await postgres.stop();
          },
        };
      },
    }),
  ),

  {
    name: 'Postgres stopped for a minute',
    async open(home) {
      const postgres = await ownPostgres(join(home.dataDir, '../postgres'));
      return {
        env: { DATABASE_URL: postgres.url() },
        databaseUrl: postgres.url(),
        async disturb(one) {
          await one.untilRandomMoment();
          await postgres.stop();
          await delay(A_MINUTE_MS);
          await postgres.start();
          one.canContinue();
          if (!one.service.isUp()) await one.service.start();
        },
        close: () => postgres.stop(),
      };
    },
  },

  {
    name: 'one job offered to two workers again and again',
    workers: 2,
    async open(home) {
      const valkey = await ownValkey(join(home.dataDir, '../valkey'));
      return {
        env: { REDIS_URL: valkey.url() },
        async disturb(one) {
          const queue = openQueue(valkey.url());
          for (let offer = 0; offer < 40; offer++) {
            await flush(valkey.url());
            await queue.enqueue(one.jobId).catch(() => {}); // its script is gone after the flush; the next offer loads it
            await delay(50 + one.random.below(100));
          }
          await queue.close();
        },
        close: () => valkey.stop(),
      };
    },
  },
];
