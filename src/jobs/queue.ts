import { Queue, Worker } from 'bullmq';

const QUEUE_NAME = 'graft-training';

/** A worker that does not renew its lock for this long loses the wake-up; its job is decided by the heartbeat in Postgres. */
const LOCK_DURATION_MS = 60_000;

/** Wakes workers. Everything in it may be lost: reconcile.ts restores it from Postgres. */
export interface JobQueue {
  /** Wakes one worker for each of these jobs; a job already in the queue is left as it is. */
  enqueue(...jobIds: string[]): Promise<void>;
  /** Removes a job; does nothing if a worker already has it. */
  remove(jobId: string): Promise<void>;
  /**
   * Calls the handler for each job, at most `concurrency` at once. The queue ignores the handler's outcome: an unfinished
   * job is queued again from Postgres.
   * @returns `close` accepts no more jobs and waits for the running handlers
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
      // BullMQ ignores a job whose id it already has: enqueueing twice wakes once.
      await queue.addBulk(jobIds.map((jobId) => ({ name: 'train', data: {}, opts: { jobId } })));
    },
    async remove(jobId) {
      await queue.remove(jobId);
    },
    consume(handler, { concurrency, onError: onWorkerError = onError }) {
      const worker = new Worker(QUEUE_NAME, (job) => handler(job.id!), {
        connection: { ...server, maxRetriesPerRequest: null },
        concurrency,
        lockDuration: LOCK_DURATION_MS,
      });
      worker.on('error', onWorkerError);
      return { close: () => worker.close() };
    },
    async check() {
      await queue.count();
    },
    close: () => queue.close(),
  };
}

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
