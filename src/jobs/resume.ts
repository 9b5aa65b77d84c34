import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import type { Services } from '../services.ts';
import { findJob } from './find.ts';
import type { Job, NewEvent } from './job.ts';

type Needs = Pick<Services, 'jobs' | 'jobRecord' | 'files' | 'queue' | 'log'>;

/**
 * Lets a paused or failed job wait for a worker again, which resumes from its newest checkpoint. A job that waits or runs stays as it is, because
 * clients repeat a request whose answer was lost.
 * @throws Refusal when the job is unknown, has succeeded or was cancelled, or one of its files is gone
 */
export async function resumeJob(principal: Principal, id: string, services: Needs): Promise<Job> {
  const { jobs, queue, log } = services;
  const before = await findJob(principal, id, services);
  if (before.status === 'failed') await requireFiles(before, services);
  const events: NewEvent[] = [{ level: 'info', message: `The job has been resumed and waits for a worker. ${await fromWhere(before, services)}` }];
  const resumed = await jobs.resumeOwn(principal.project, id, { events });
  if (resumed === null) {
    const job = await findJob(principal, id, services);
    if (job.status !== 'succeeded' && job.status !== 'cancelled') return job;
    const what = job.status === 'succeeded' ? 'already succeeded' : 'been cancelled';
    throw new Refusal('fine_tune_already_finished', `The job "${id}" has ${what}`, { hint: 'Only a paused or a failed job can be resumed.' });
  }
  // The row is what counts: if Redis is unavailable now, the reconciler wakes a worker later.
  await queue.enqueue(id).catch((error: unknown) => log.warn({ err: error, jobId: id }, 'the resumed job could not be queued yet'));
  return resumed;
}

async function fromWhere({ id, workerId }: Job, { jobRecord }: Needs): Promise<string> {
  if (workerId !== null) return 'Its former worker still finishes its step and writes a checkpoint';
  const checkpoint = await jobRecord.newestCheckpoint(id);
  return checkpoint === null ? 'It starts from the beginning' : `It resumes from the checkpoint at step ${checkpoint.step}`;
}

/** The content of a deleted file is kept only until its jobs have ended, and a failed job had. */
async function requireFiles({ id, owner, ...job }: Job, { files }: Needs): Promise<void> {
  const params = {
    training_file: job.trainingFileId,
    validation_file: job.validationFileId,
    evaluation_file: job.evaluationFileId,
    retention_file: job.retentionFileId,
  };
  for (const [param, fileId] of Object.entries(params)) {
    if (fileId === null || (await files.findEvenDeleted(owner, fileId)) !== null) continue;
    throw new Refusal(`invalid_${param}`, `The job "${id}" cannot be resumed: its file "${fileId}" has been deleted`, {
      param,
      hint: 'Upload it again and create a new job.',
    });
  }
}
