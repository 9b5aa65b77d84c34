/** How a worker's part in a job ends if the job does not succeed. */
import type { Logger } from 'pino';
import { isRefusedByDatabase } from '../../src/database/refused-write.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Job, JobError, NewEvent } from '../../src/jobs/job.ts';
import { startingFrom } from '../../src/jobs/setback.ts';
import type { Services } from '../../src/services.ts';
import type { ForkedTraining } from '../process/forked.ts';
import type { TrainingError } from '../process/messages.ts';

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

/**
 * Gives the job back, by default because it was paused or the worker stops; the next worker resumes it from the newest checkpoint.
 * @param why a sentence without its full stop
 */
export async function giveBack({ services, job, log }: Ending, why = 'The worker stops'): Promise<void> {
  const newest = await services.jobRecord.newestCheckpoint(job.id);
  const events: NewEvent[] = [{ level: 'info', message: `${why}; the job will be resumed ${startingFrom(newest)}` }];
  if ((await services.jobs.move(job.id, 'requeue', { attempt: job.attempt, events })) === null) await letGo({ services, job });
  log.info('job given back');
}

/** Lets go of a job that this worker may still have, because it was paused. */
export async function letGo({ services: { jobs }, job: { id, attempt } }: Pick<Ending, 'services' | 'job'>): Promise<void> {
  const stopped: NewEvent = { level: 'info', message: 'The worker has stopped; the job waits to be resumed' };
  await jobs.release(id, attempt, ({ status }) => (status === 'paused' ? [stopped] : []));
}

/** The job has reached the step at which its sweep compares it with the others. */
export async function pauseToCompare({ services: { jobs }, job: { id, attempt }, log }: Ending, step: number): Promise<void> {
  const events: NewEvent[] = [{ level: 'info', message: `After step ${step}, the job waits to be compared with the others of its sweep` }];
  await jobs.move(id, 'pause', { attempt, patch: { step }, events });
  await jobs.release(id, attempt);
  log.info({ step }, 'job paused for its sweep');
}

export async function fail({ services, job, log }: Ending, refusal: Refusal): Promise<void> {
  let error: JobError = { code: refusal.code, message: refusal.text, param: refusal.param };
  const record = () => {
    const events: NewEvent[] = [{ level: 'error', message: `The job failed: ${error.message}` }];
    return services.jobs.move(job.id, 'fail', { attempt: job.attempt, patch: { error }, events });
  };
  const failed = await record().catch((reason: unknown) => {
    if (!isRefusedByDatabase(reason)) throw reason; // the database is down: the job is tried again
    log.error({ err: reason, error }, 'the error of a job could not be stored as it is');
    error = plainError(error);
    return record();
  });
  if (failed === null) return letGo({ services, job });
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

/** What a training process reports, as the job's error. */
export function failure({ code, message, param, hint }: TrainingError, training: ForkedTraining, log: Logger): Refusal {
  if (code === 'internal_error') log.error({ output: training.output() }, 'training failed');
  return new Refusal(code, message, { param, hint });
}
