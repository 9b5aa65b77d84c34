import type { Services } from '../services.ts';

/** How often the service compares Redis with Postgres, and so the longest that a job waits after Redis lost it. */
export const RECONCILE_EVERY_MS = 5_000;
/** Jobs queued per round; the rest waits for the next one. */
const MAX_PER_ROUND = 1_000;
/** A job that is begun this often without an end is probably the cause, so it fails. */
const MAX_ATTEMPTS = 10;

/**
 * Queues the jobs that wait without a worker, and makes jobs whose worker went silent wait again: Postgres knows what is due,
 * Redis only wakes workers. Any number of processes may do this at once.
 */
export async function reconcile({ jobs, jobRecord, queue, log }: Pick<Services, 'jobs' | 'jobRecord' | 'queue' | 'log'>): Promise<void> {
  for (const { id, attempt } of await jobs.findStalled()) {
    if (attempt >= MAX_ATTEMPTS) {
      const error = { code: 'too_many_attempts', message: tooManyAttempts(attempt), param: null };
      if (await jobs.move(id, 'fail', { attempt, patch: { error } })) log.error({ jobId: id, attempt }, error.message);
    } else if (await jobs.move(id, 'requeue', { attempt })) {
      log.warn({ jobId: id, attempt }, 'the worker went silent: the job waits for another');
      await jobRecord.appendEvent(id, { level: 'warn', message: 'The worker was lost; the job will resume from its newest checkpoint' });
    }
  }
  const due = await jobs.findDue(MAX_PER_ROUND);
  if (due.length > 0) await queue.enqueue(...due);
}

const tooManyAttempts = (attempts: number): string =>
  `${attempts} attempts ended without a result: each time the worker was lost or could not continue; the last checkpoint is kept. The job's events and the worker's log say what happened.`;
