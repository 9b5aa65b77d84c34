import { hasEnded, processIdentity } from '../process-identity.ts';
import type { Job } from './job.ts';
import type { JobStore } from './store.ts';

/** The hostname is for readers of the log; from the process at its end, others on the machine see whether the worker still runs. */
export const newWorkerId = (hostname: string, random: string): string => `worker-${hostname}-${random}-${processIdentity()}`;

/** @returns true only if the worker ran on this machine and its process has ended */
export const isDeadHere = (workerId: string): Promise<boolean> => hasEnded(workerId.slice(workerId.lastIndexOf('-') + 1));

/** After the database was away, every worker has been silent. A live one writes within this time: it does so every second. */
const CONFIRM_AFTER_MS = 3_000;

/**
 * Looks again and again for jobs whose worker was silent for too long, and still is some seconds after that was first seen, or ran on this machine and
 * has ended, which shows at once.
 */
export function lostJobs(jobs: Pick<JobStore, 'findStalled' | 'findHeld'>, confirmAfterMs: number = CONFIRM_AFTER_MS): () => Promise<Job[]> {
  /** When a silence was first seen, by job and attempt. */
  let suspected = new Map<string, number>();
  return async () => {
    const now = performance.now();
    const silent = await jobs.findStalled();
    const seenMs = ({ id, attempt }: Job) => suspected.get(`${id} ${attempt}`) ?? now;
    const lost = silent.filter((job) => now - seenMs(job) >= confirmAfterMs);
    suspected = new Map(silent.map((job) => [`${job.id} ${job.attempt}`, seenMs(job)]));
    const found = new Set(lost.map(({ id }) => id));
    for (const job of await jobs.findHeld()) {
      if (!found.has(job.id) && (await isDeadHere(job.workerId!))) lost.push(job);
    }
    return lost;
  };
}
