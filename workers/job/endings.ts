/** How a worker's part in a job ends, other than well. */
import type { Logger } from 'pino';
import type { Refusal } from '../../src/formats/refusal.ts';
import type { Job, JobError } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';

/** The job is no longer this worker's: cancelled, deleted, or taken over after a silence. */
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

/** The worker stops: another one resumes from the newest checkpoint. */
export async function giveBack({ services: { jobs, jobRecord }, job: { id, attempt }, log }: Ending): Promise<void> {
  if ((await jobs.move(id, 'requeue', { attempt })) === null) await jobs.release(id, attempt);
  else await jobRecord.appendEvent(id, { level: 'info', message: 'The worker stops; the job goes on from its newest checkpoint on another' });
  log.info('job given back');
}

export async function fail({ services: { jobs, jobRecord }, job: { id, attempt }, log }: Ending, refusal: Refusal): Promise<void> {
  const error: JobError = { code: refusal.code, message: refusal.text, param: refusal.param };
  if ((await jobs.move(id, 'fail', { attempt, patch: { error } })) === null) return;
  await jobRecord.appendEvent(id, { level: 'error', message: `The job failed: ${error.message}` });
  log.info({ error }, 'job failed');
}
