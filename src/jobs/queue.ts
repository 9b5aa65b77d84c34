import { Queue, Worker } from 'bullmq';

const QUEUE_NAME = 'graft-training';

/** A worker whose process stops renewing for this long loses the wake-up; the heartbeat in Postgres decides about the job. */
const LOCK_DURATION_MS = 60_000;

/** Wakes workers. Everything in it can be lost: reconcile.ts makes it again from Postgres. */
export interface JobQueue {
  /** Wakes one worker for each of these jobs; a job that is already in the queue stays as it is. */
  enqueue(...jobIds: string[]): Promise<void>;
  /** Takes a job out again; nothing happens when a worker has it already. */
  remove(jobId: string): Promise<void>;
  /**
   * Calls the handler for each job, at most `concurrency` at once. The handler's outcome means nothing to the queue:
   * a job that is not finished is woken again from Postgres.
   * @returns close: takes no more jobs and waits for the running handlers
   */
  consume(handler: (jobId: string) => Promise<void>, options: { concurrency: number; onError?: (error: Error) => void }): { close(): Promise<void> };
  /** @throws Error when Redis does not answer */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** @param redisUrl `redis://host:port/db`, `rediss://…`, or the path of a Unix socket */
export function openQueue(redisUrl: string, { onError = () => {} }: { onError?: (error: Error) => void } = {}): JobQueue {
  const server = redisServer(redisUrl);
  // Whoever enqueues would rather hear at once that Redis is away: the reconciler makes up for it.
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

/** BullMQ makes its own connections from options: a queue's fail fast, a worker's wait for ever. */
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
