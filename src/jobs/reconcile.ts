import type { Services } from '../services.ts';
import { findLost } from './lost.ts';

/** How often the service compares Redis with Postgres, and so the longest that a job waits after Redis lost it. */
export const RECONCILE_EVERY_MS = 5_000;
/** Jobs queued per round; the rest waits for the next one. */
const MAX_PER_ROUND = 1_000;
/** A job that is begun this often without an end is probably the cause, so it fails. */
const MAX_ATTEMPTS = 10;

type Needs = Pick<Services, 'jobs' | 'jobRecord' | 'queue' | 'log'>;

/**
 * Queues the jobs that wait without a worker, and makes jobs whose worker is gone wait again: Postgres knows what is due, Redis only wakes workers.
 * Any number of processes may do this at once.
 */
export async function reconcile(services: Needs): Promise<void> {
  const { jobs, queue } = services;
  await freeLostJobs(services);
  const due = await jobs.findDue(MAX_PER_ROUND);
  const ids = (begun: boolean) => due.filter(({ attempt }) => attempt > 0 === begun).map(({ id }) => id);
  await queue.enqueueFirst(...ids(true));
  await queue.enqueue(...ids(false));
}

/** Makes jobs whose worker is gone wait for another one, and wakes one. Workers do this too: a dead neighbour is seen only on its own machine. */
export async function freeLostJobs({ jobs, jobRecord, queue, log }: Needs): Promise<void> {
  for (const { id, attempt } of await findLost(jobs)) {
    if (attempt >= MAX_ATTEMPTS) {
      const error = { code: 'too_many_attempts', message: tooManyAttempts(attempt), param: null };
      if (await jobs.move(id, 'fail', { attempt, patch: { error } })) {
        log.error({ jobId: id, attempt }, error.message);
        continue;
      }
    }
    if (await jobs.move(id, 'requeue', { attempt })) {
      log.warn({ jobId: id, attempt }, 'the worker is gone: the job waits for another');
      await jobRecord.appendEvent(id, { level: 'warn', message: 'The worker was lost; the job will resume from its newest checkpoint' });
    } else await jobs.release(id, attempt);
    await queue.enqueueFirst(id);
  }
}

const tooManyAttempts = (attempts: number): string =>
  `${attempts} attempts ended without a result: each time the worker was lost or could not continue; the last checkpoint is kept. The job's events and the worker's log say what happened.`;
