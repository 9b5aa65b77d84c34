/** How a worker's part in a job ends if the job does not succeed. */
import type { Logger } from 'pino';
import type { Refusal } from '../../src/formats/refusal.ts';
import type { Job, JobError } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';

/** The job no longer belongs to this worker: it was cancelled, deleted, or taken over because its heartbeat stopped. */
export class JobLost extends Error {
  override readonly name = 'JobLost';
}

/** The training process stopped because the worker told it to. */
export class StoppedByWorker extends Error {
  override readonly name = 'StoppedByWorker';
}

interface Ending {
  services: Pick<Services, 'jobs' | 'jobRecord'>;
  job: Job;
  log: Logger;
}

/** Gives the job back when it was paused or the worker stops; the next worker resumes it from the newest checkpoint. */
export async function giveBack({ services, job, log }: Ending): Promise<void> {
  const { jobs, jobRecord } = services;
  const { id, attempt } = job;
  if ((await jobs.move(id, 'requeue', { attempt })) === null) await letGo({ services, job });
  else await jobRecord.appendEvent(id, { level: 'info', message: 'The worker stops; another one resumes the job from its newest checkpoint' });
  log.info('job given back');
}

/** Lets go of a job that this worker may still have, because it was paused. */
export async function letGo({ services: { jobs, jobRecord }, job: { id, attempt } }: Pick<Ending, 'services' | 'job'>): Promise<void> {
  const released = await jobs.release(id, attempt);
  if (released?.status === 'paused')
    await jobRecord.appendEvent(id, { level: 'info', message: 'The worker has stopped; the job waits to be resumed' });
}

export async function fail({ services, job, log }: Ending, refusal: Refusal): Promise<void> {
  const { jobs, jobRecord } = services;
  const { id, attempt } = job;
  let error: JobError = { code: refusal.code, message: refusal.text, param: refusal.param };
  const record = () => jobs.move(id, 'fail', { attempt, patch: { error } });
  const failed = await record().catch((reason: unknown) => {
    log.error({ err: reason, error }, 'the error of a job could not be stored as it is');
    error = plainError(error);
    return record(); // if the database is down, this throws as well and the job is tried again
  });
  if (failed === null) return letGo({ services, job });
  await jobRecord.appendEvent(id, { level: 'error', message: `The job failed: ${error.message}` });
  log.info({ error }, 'job failed');
}

/** How much of an error is kept that could not be stored: what went wrong stands at its beginning. */
const PLAIN_LENGTH = 2_000;

/** The error in ASCII and short: whatever the database refused, it can hold this, so that the job fails now instead of after its last attempt. */
const plainError = ({ code, message, param }: JobError): JobError => ({
  code,
  message: message.slice(0, PLAIN_LENGTH).replaceAll(/[^ -~]+/g, '?'),
  param: param?.slice(0, PLAIN_LENGTH).replaceAll(/[^ -~]+/g, '?') ?? null,
});
