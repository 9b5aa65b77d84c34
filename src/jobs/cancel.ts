import type { Principal } from '../accounts/principal.ts';
import type { Services } from '../services.ts';
import { alreadyEnded } from './ended.ts';
import { findJob } from './find.ts';
import type { Job, NewEvent } from './job.ts';

/**
 * Cancels the job in its row; a worker that has the job learns of it at its next heartbeat.
 * @throws Refusal when the job is unknown or has already ended
 */
export async function cancelJob(principal: Principal, id: string, services: Pick<Services, 'jobs' | 'queue' | 'log'>): Promise<Job> {
  const { jobs, queue, log } = services;
  const events: NewEvent[] = [{ level: 'info', message: 'The job has been cancelled' }];
  const cancelled = await jobs.moveOwn(principal.project, id, 'cancel', { events });
  if (cancelled === null) throw alreadyEnded(await findJob(principal, id, services));
  // If this fails, the job stays in the queue but is not claimed, because its row says cancelled.
  await queue.remove(id).catch((error: unknown) => log.warn({ err: error, jobId: id }, 'the cancelled job could not be removed from the queue'));
  return cancelled;
}
