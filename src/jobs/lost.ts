import { hasEnded, processIdentity } from '../process-identity.ts';
import type { Job } from './job.ts';
import type { JobStore } from './store.ts';

/** The hostname is for readers of the log; from the process at its end, others on the machine see whether the worker still runs. */
export const newWorkerId = (hostname: string, random: string): string => `worker-${hostname}-${random}-${processIdentity()}`;

/** @returns true only if the worker ran on this machine and its process has ended */
export const isDeadHere = (workerId: string): Promise<boolean> => hasEnded(workerId.slice(workerId.lastIndexOf('-') + 1));

/** Jobs whose worker was silent for too long, or ran on this machine and has ended, which shows at once. */
export async function findLost(jobs: Pick<JobStore, 'findStalled' | 'findHeld'>): Promise<Job[]> {
  const lost = await jobs.findStalled();
  const stalled = new Set(lost.map(({ id }) => id));
  for (const job of await jobs.findHeld()) {
    if (!stalled.has(job.id) && (await isDeadHere(job.workerId!))) lost.push(job);
  }
  return lost;
}
