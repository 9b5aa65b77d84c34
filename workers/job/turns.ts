import type { Logger } from 'pino';
import type { DemandedModel } from '../../src/jobs/demand-store.ts';
import type { JobStore } from '../../src/jobs/store.ts';
import type { superviseJob } from './take-job.ts';

interface Turns {
  jobs: Pick<JobStore, 'findNext'>;
  supervise(jobId: string): ReturnType<typeof superviseJob>;
  stopping: AbortSignal;
  log: Logger;
}

/**
 * Takes the job whose turn it is of those that this worker can take, whichever job it was woken for, and returns when it has ended, was given back or lost.
 * Any number of calls may run at once.
 * @returns the call; it answers with the job that it took or waited for last, or null if there was none
 */
export function takeTurns({ jobs, supervise, stopping, log }: Turns): () => Promise<string | null> {
  /** Jobs that a call has, or wants to have as soon as there are slots. */
  const inHand = new Set<string>();
  return async () => {
    const models: DemandedModel[] = [];
    const tried = new Set<string>();
    let last: string | null = null;
    while (!stopping.aborted) {
      const next = await jobs.findNext({ models, ids: [...inHand, ...tried] });
      if (next === null) break;
      last = next.id;
      inHand.add(next.id);
      try {
        const outcome = await supervise(next.id);
        if (outcome === 'taken') break;
        if (outcome === 'no_base_model') models.push(next);
        else tried.add(next.id); // another worker was faster, or this one has too few slots
      } catch (error) {
        log.error({ err: error, jobId: next.id }, 'the job could not be continued; it will be retried later');
        break;
      } finally {
        inHand.delete(next.id);
      }
    }
    return last;
  };
}
