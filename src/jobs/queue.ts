import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const QUEUE_NAME = 'graft-training';

/** BullMQ's lock is held only between the two commands that take a wake-up off the queue, so it is soon over if a worker dies just then. */
const LOCK_DURATION_MS = 5_000;
/** Pause after Redis failed. */
const RETRY_AFTER_MS = 1_000;

/**
 * Wakes workers: one wake-up for each job that waits. Which job a woken worker takes, Postgres decides (turn-store.ts), because BullMQ's own priorities
 * know no turns of projects, and its groups are not free. So a wake-up outlives a job that is cancelled: the worker then finds the next one, or none.
 * Everything in it may be lost: reconcile.ts restores it from Postgres.
 */
export interface JobQueue {
  /** Wakes one worker for each of these jobs; a job already in the queue is left as it is. */
  enqueue(...jobIds: string[]): Promise<void>;
  /**
   * Calls the handler for each wake-up, at most `concurrency` at once. A wake-up leaves the queue before the handler runs, and Postgres decides the rest:
   * an unfinished job is queued again from there, and nothing of a dead worker stays behind in Redis.
   * @returns `close` accepts no more wake-ups and waits for the running handlers
   */
  consume(handler: (jobId: string) => Promise<void>, options: { concurrency: number; onError?: (error: Error) => void }): { close(): Promise<void> };
  /** @throws Error when Redis does not answer */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** @param redisUrl `redis://host:port/db`, `rediss://…`, or the path of a Unix socket */
export function openQueue(redisUrl: string, { onError = () => {} }: { onError?: (error: Error) => void } = {}): JobQueue {
  const server = redisServer(redisUrl);
  // Enqueueing fails fast when Redis is unavailable: the reconciler makes up for it.
  const queue = new Queue(QUEUE_NAME, {
    connection: { ...server, maxRetriesPerRequest: 1, enableOfflineQueue: false },
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  });
  queue.on('error', onError);
  return {
    async enqueue(...jobIds) {
      if (jobIds.length === 0) return;
      // BullMQ ignores a job whose id it already has: enqueueing twice wakes once.
      await queue.addBulk(jobIds.map((jobId) => ({ name: 'train', data: {}, opts: { jobId } })));
    },
    consume(handler, { concurrency, onError: onWorkerError = onError }) {
      const worker = new Worker(QUEUE_NAME, null, {
        connection: { ...server, maxRetriesPerRequest: null },
        lockDuration: LOCK_DURATION_MS,
        stalledInterval: LOCK_DURATION_MS,
      });
      worker.on('error', onWorkerError);
      return takeJobs(worker, handler, { concurrency, onError: onWorkerError });
    },
    async check() {
      await queue.count();
    },
    close: () => queue.close(),
  };
}

/** A connection for what counts in Redis. As the queue's, it fails fast: whoever uses it has an answer without Redis. */
export function connectRedis(redisUrl: string, onError: (error: Error) => void): Redis {
  const redis = new Redis({ ...redisServer(redisUrl), maxRetriesPerRequest: 1, enableOfflineQueue: false });
  redis.on('error', onError);
  return redis;
}

/** Takes wake-ups off the queue while fewer than `concurrency` handlers run. */
function takeJobs(
  worker: Worker,
  handler: (jobId: string) => Promise<void>,
  { concurrency, onError }: { concurrency: number; onError: (error: Error) => void },
): { close(): Promise<void> } {
  const closing = new AbortController();
  const running = new Set<Promise<void>>();

  const taking = async () => {
    await worker.startStalledCheckTimer();
    while (!closing.signal.aborted) {
      if (running.size >= concurrency) {
        await Promise.race([...running, aborted(closing.signal)]);
        continue;
      }
      try {
        const token = randomUUID();
        const job = await worker.getNextJob(token);
        if (job === undefined) continue;
        await job.moveToCompleted(null, token, false);
        const handling: Promise<void> = handler(job.id!)
          .catch(onError)
          .finally(() => running.delete(handling));
        running.add(handling);
      } catch (error) {
        if (closing.signal.aborted) return;
        onError(error as Error);
        await delay(RETRY_AFTER_MS, undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  };
  const taken = taking();
  return {
    async close() {
      closing.abort();
      await worker.close(true); // ends the wait for a job; none is lost, because Postgres knows what is due
      await taken;
      await Promise.all(running);
    },
  };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Options from which BullMQ makes its own connections: a queue's fail fast, a worker's wait for ever. */
function redisServer(redisUrl: string) {
  if (redisUrl.startsWith('/')) return { path: redisUrl };
  const url = new URL(redisUrl);
  return {
    host: url.hostname,
    port: Number(url.port || 6379),
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(url.password && { password: decodeURIComponent(url.password) }),
    ...(url.pathname.length > 1 && { db: Number(url.pathname.slice(1)) }),
    ...(url.protocol === 'rediss:' && { tls: {} }),
  };
}
