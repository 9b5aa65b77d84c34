/**
 * Servers for a start without configuration: a private Postgres and a private Redis-compatible server under DATA_DIR.
 * Both survive a killed Node process and are reused by the next start; one that is killed itself is started again.
 */
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type EmbeddedServer, startPostgres } from './postgres.ts';
import { revive } from './revive.ts';
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

export interface EmbeddedOptions {
  /** Holds the servers' data. */
  dataDir: string;
  /** Which servers to start. */
  postgres: boolean;
  redis: boolean;
  log?: Logger;
  /** Called when a server has ended and cannot be started again: nothing works from then on. */
  onGivenUp?(error: Error): void;
}

/** Starts the servers, and starts each of them again if it ends before `stop`. */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  if (!options.postgres && !options.redis) return { databaseUrl: null, redisUrl: null, stop: async () => {} };
  if (process.platform !== 'linux') {
    throw new Error('The embedded Postgres and Valkey run only on Linux. Set DATABASE_URL and REDIS_URL to your own servers.');
  }
  await mkdir(options.dataDir, { recursive: true });
  const dataDir = await realpath(options.dataDir);
  return whileLocked(dataDir, async () => {
    const sockets = await socketDirectory(dataDir);
    const startShared = (name: string, users: string, start: () => Promise<EmbeddedServer>) =>
      shared({ ...options, name, users: join(sockets, users), start, startLocked: (signal) => whileLocked(dataDir, start, signal) });
    const [postgres, redis] = await Promise.allSettled([
      options.postgres ? startShared('Postgres', 'postgres-users', () => startPostgres({ home: join(dataDir, 'postgres'), sockets })) : null,
      options.redis ? startShared('Valkey', 'valkey-users', () => startValkey({ home: join(dataDir, 'valkey'), sockets })) : null,
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

interface Shared extends Pick<EmbeddedOptions, 'log' | 'onGivenUp'> {
  name: string;
  /** Directory of the processes that use it. */
  users: string;
  start(): Promise<EmbeddedServer>;
  /** Start of a process that does not hold the lock. */
  startLocked(signal: AbortSignal): Promise<EmbeddedServer>;
}

/** A server that several processes share: each of them starts it again if it ends, and only the last of them to call `stop` stops it. */
async function shared({ name, users, start, startLocked, log, onGivenUp = () => {} }: Shared): Promise<Pick<EmbeddedServer, 'url' | 'stop'>> {
  const tenancy = await signIn(users);
  try {
    let server = await start();
    const revival = revive({
      name,
      pid: server.pid,
      async start(signal) {
        server = await startLocked(signal);
        return server.pid;
      },
      log: (level, message, err) => log?.[level](err === undefined ? {} : { err }, message),
      onGivenUp,
    });
    return {
      url: server.url,
      stop: async () => {
        await revival.stop();
        if ((await tenancy.signOut()).last) await server.stop();
      },
    };
  } catch (error) {
    await tenancy.signOut();
    throw error;
  }
}
