import type { Principal } from '../accounts/principal.ts';
import type { Services } from '../services.ts';
import { alreadyEnded } from './ended.ts';
import { findJob } from './find.ts';
import type { Job, NewEvent } from './job.ts';

/**
 * Cancels the job in its row; a worker that has the job learns of it at its next heartbeat.
 * @throws Refusal when the job is unknown or has already ended
 */
export async function cancelJob(principal: Principal, id: string, services: Pick<Services, 'jobs'>): Promise<Job> {
  const events: NewEvent[] = [{ level: 'info', message: 'The job has been cancelled' }];
  const cancelled = await services.jobs.moveOwn(principal.project, id, 'cancel', { events });
  if (cancelled === null) throw alreadyEnded(await findJob(principal, id, services));
  return cancelled;
}
