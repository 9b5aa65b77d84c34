import type { Services } from '../services.ts';
import { lackingModels } from './lacks.ts';
import { lostJobs } from './lost.ts';

/** How often the service compares Redis with Postgres, and so the longest that a job waits after Redis lost it. */
export const RECONCILE_EVERY_MS = 5_000;
/** Jobs queued per round; the rest waits for the next one. */
const MAX_PER_ROUND = 1_000;

type Needs = Pick<Services, 'jobs' | 'setbacks' | 'demand' | 'models' | 'hub' | 'queue' | 'log'>;

export interface Reconciler {
  /** Queues the jobs that wait without a worker, and does what `freeLostJobs` does. */
  reconcile(): Promise<void>;
  /** Makes jobs whose worker is gone wait for another one, and wakes one. Workers do this too: a dead neighbour is seen only on its own machine. */
  freeLostJobs(): Promise<void>;
}

/**
 * Postgres knows what is due, Redis only wakes workers. Any number of processes may compare the two at once.
 * @param options.confirmAfterMs how long a worker still has to be silent once it has been found so
 */
export function openReconciler(services: Needs, options: { confirmAfterMs?: number } = {}): Reconciler {
  const { jobs, setbacks, queue, log } = services;
  const findLost = lostJobs(jobs, options.confirmAfterMs);

  async function freeLostJobs(): Promise<void> {
    for (const job of await findLost()) {
      const { id, attempt } = job;
      const became = await setbacks.lose(job, 'The worker was lost');
      if (became !== null) log.warn({ jobId: id, attempt, became }, 'the worker is gone');
      else await jobs.release(id, attempt); // a paused job
      if (became !== 'failed') await queue.enqueue(id);
    }
  }

  return {
    freeLostJobs,
    async reconcile() {
      await freeLostJobs();
      const lacking = await lackingModels(services);
      const due = await jobs.findDue(MAX_PER_ROUND, lacking);
      await queue.enqueue(...[...due, ...lacking].map(({ id }) => id));
    },
  };
}
