import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import type { Services } from '../services.ts';
import { findJob } from './find.ts';
import type { Job } from './job.ts';

/**
 * The job is cancelled the moment the row says so; a worker that has it finds out with its next heartbeat.
 * @throws Refusal when it is unknown, or over already
 */
export async function cancelJob(principal: Principal, id: string, services: Pick<Services, 'jobs' | 'jobRecord' | 'queue' | 'log'>): Promise<Job> {
  const { jobs, jobRecord, queue, log } = services;
  const cancelled = await jobs.moveOwn(principal.organization, id, 'cancel');
  if (cancelled === null) {
    const { status } = await findJob(principal, id, services);
    // 400, not 409: the official client retries a conflict by itself.
    throw new Refusal('fine_tune_already_finished', `The job "${id}" has ${status === 'cancelled' ? 'been cancelled' : status} already`);
  }
  await jobRecord.appendEvent(id, { level: 'info', message: 'The job has been cancelled' });
  // One that stays in the queue is not claimed: its row says cancelled.
  await queue.remove(id).catch((error: unknown) => log.warn({ err: error, jobId: id }, 'the cancelled job could not be taken out of the queue'));
  return cancelled;
}
