import type { Services } from '../services.ts';
import { lackingModels } from './lacks.ts';
import { findLost } from './lost.ts';

/** How often the service compares Redis with Postgres, and so the longest that a job waits after Redis lost it. */
export const RECONCILE_EVERY_MS = 5_000;
/** Jobs queued per round; the rest waits for the next one. */
const MAX_PER_ROUND = 1_000;

type Needs = Pick<Services, 'jobs' | 'setbacks' | 'queue' | 'log'>;
type ReconcileNeeds = Needs & Pick<Services, 'demand' | 'models' | 'hub'>;

/**
 * Queues the jobs that wait without a worker, and makes jobs whose worker is gone wait again: Postgres knows what is due, Redis only wakes workers.
 * Any number of processes may do this at once.
 */
export async function reconcile(services: ReconcileNeeds): Promise<void> {
  const { jobs, queue } = services;
  await freeLostJobs(services);
  const lacking = await lackingModels(services);
  const due = await jobs.findDue(MAX_PER_ROUND, lacking);
  const ids = (begun: boolean) => due.filter(({ attempt }) => attempt > 0 === begun).map(({ id }) => id);
  await queue.enqueueFirst(...ids(true));
  await queue.enqueue(...ids(false), ...lacking.map(({ id }) => id));
}

/** Makes jobs whose worker is gone wait for another one, and wakes one. Workers do this too: a dead neighbour is seen only on its own machine. */
export async function freeLostJobs({ jobs, setbacks, queue, log }: Needs): Promise<void> {
  for (const job of await findLost(jobs)) {
    const { id, attempt } = job;
    const became = await setbacks.lose(job, 'The worker was lost');
    if (became === null)
      await jobs.release(id, attempt); // a paused job
    else log.warn({ jobId: id, attempt, became }, 'the worker is gone');
    if (became !== 'failed') await queue.enqueueFirst(id);
  }
}
