import type { Services } from '../services.ts';
import type { Checkpoint, Job } from './job.ts';

/** Finds the checkpoint whose model has this name, with the job that made it. */
export async function findCheckpoint(
  owner: string,
  name: string,
  { jobs, jobRecord }: Pick<Services, 'jobs' | 'jobRecord'>,
): Promise<{ job: Job; checkpoint: Checkpoint } | null> {
  const checkpoint = await jobRecord.findCheckpoint(owner, name);
  const job = checkpoint && (await jobs.find(owner, checkpoint.jobId));
  return job && { job, checkpoint };
}
