import type { Services } from '../services.ts';

/** How often the service compares Redis with Postgres: the longest a job waits after Redis lost it. */
export const RECONCILE_EVERY_MS = 5_000;
/** Woken at once; the rest waits for the next round. */
const MOST_AT_ONCE = 1_000;
/** A job whose workers are lost this often is what loses them: it is given up. */
const MOST_ATTEMPTS = 10;

/**
 * Postgres says what is due, Redis only wakes: jobs that wait without a worker are (again) in the queue afterwards, and jobs
 * whose worker fell silent wait again. Any number of processes may do this at once.
 */
export async function reconcile({ jobs, jobRecord, queue, log }: Pick<Services, 'jobs' | 'jobRecord' | 'queue' | 'log'>): Promise<void> {
  for (const { id, attempt } of await jobs.findStalled()) {
    if (attempt >= MOST_ATTEMPTS) {
      const error = { code: 'too_many_attempts', message: `The worker was lost ${attempt} times; the last checkpoint is kept`, param: null };
      if (await jobs.move(id, 'fail', { attempt, patch: { error } })) log.error({ jobId: id, attempt }, error.message);
    } else if (await jobs.move(id, 'requeue', { attempt })) {
      log.warn({ jobId: id, attempt }, 'the worker fell silent: the job waits for another');
      await jobRecord.appendEvent(id, { level: 'warn', message: 'The worker was lost; the job goes on from its newest checkpoint' });
    }
  }
  const due = await jobs.findDue(MOST_AT_ONCE);
  if (due.length > 0) await queue.enqueue(...due);
}
