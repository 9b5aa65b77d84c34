/**
 * Servers for a start without configuration: a private Postgres and a private Redis-compatible server under DATA_DIR.
 * Both survive a killed Node process and are reused by the next start.
 */
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { type EmbeddedServer, startPostgres } from './postgres.ts';
import { socketDirectory } from './sockets.ts';
import { signIn, whileLocked } from './tenancy.ts';
import { startValkey } from './valkey.ts';

export interface Embedded {
  /** For DATABASE_URL: `postgresql://postgres@localhost:5432/graft?host=/path`; null when not requested. */
  databaseUrl: string | null;
  /** For REDIS_URL: the absolute path of a Unix socket, which `new Redis(path)` accepts; null when not requested. */
  redisUrl: string | null;
  /** Stops the servers unless another process still uses them. May be called twice. */
  stop(): Promise<void>;
}

/** @param options which servers to start, and the directory that holds their data */
export async function startEmbedded(options: { dataDir: string; postgres: boolean; redis: boolean }): Promise<Embedded> {
  if (!options.postgres && !options.redis) return { databaseUrl: null, redisUrl: null, stop: async () => {} };
  if (process.platform !== 'linux') {
    throw new Error('The embedded Postgres and Valkey run only on Linux. Set DATABASE_URL and REDIS_URL to your own servers.');
  }
  await mkdir(options.dataDir, { recursive: true });
  const dataDir = await realpath(options.dataDir);
  return whileLocked(dataDir, async () => {
    const sockets = await socketDirectory(dataDir);
    const [postgres, redis] = await Promise.allSettled([
      options.postgres ? shared(join(sockets, 'postgres-users'), () => startPostgres({ home: join(dataDir, 'postgres'), sockets })) : null,
      options.redis ? shared(join(sockets, 'valkey-users'), () => startValkey({ home: join(dataDir, 'valkey'), sockets })) : null,
    ]);
    const stopBoth = async () => {
      await Promise.all([postgres, redis].map((server) => (server.status === 'fulfilled' ? server.value?.stop() : undefined)));
    };
    if (postgres.status === 'rejected' || redis.status === 'rejected') {
      await stopBoth();
      throw postgres.status === 'rejected' ? postgres.reason : (redis as PromiseRejectedResult).reason;
    }
    let stopping: Promise<void> | undefined;
    const stop = () => {
      stopping ??= whileLocked(dataDir, stopBoth);
      return stopping;
    };
    return { databaseUrl: postgres.value?.url ?? null, redisUrl: redis.value?.url ?? null, stop };
  });
}

/** A server that several processes share: only the last of them to call `stop` stops it. */
async function shared(users: string, start: () => Promise<EmbeddedServer>): Promise<EmbeddedServer> {
  const tenancy = await signIn(users);
  try {
    const server = await start();
    return {
      url: server.url,
      stop: async () => {
        if ((await tenancy.signOut()).last) await server.stop();
      },
    };
  } catch (error) {
    await tenancy.signOut();
    throw error;
  }
}
