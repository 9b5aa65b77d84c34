import type { Principal } from '../accounts/principal.ts';
import type { Services } from '../services.ts';
import { alreadyEnded } from './ended.ts';
import { findJob } from './find.ts';
import type { Job, NewEvent } from './job.ts';

/**
 * Pauses the job in its row; a worker that has the job learns of it at its next heartbeat, writes a checkpoint after the current step and lets go.
 * A paused job stays as it is, because clients repeat a request whose answer was lost.
 * @throws Refusal when the job is unknown or has ended
 */
export async function pauseJob(principal: Principal, id: string, services: Pick<Services, 'jobs'>): Promise<Job> {
  const paused = await services.jobs.moveOwn(principal.project, id, 'pause', { events: pausedEvent });
  if (paused === null) {
    const job = await findJob(principal, id, services);
    if (job.status === 'paused') return job;
    throw alreadyEnded(job);
  }
  return paused;
}

function pausedEvent({ workerId }: Job): NewEvent[] {
  const message = workerId === null ? 'The job has been paused' : 'The job has been paused; its worker stops after the current step';
  return [{ level: 'info', message }];
}
