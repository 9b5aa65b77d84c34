import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import type { Services } from '../services.ts';
import type { Job } from './job.ts';

/** @throws Refusal fine_tune_not_found */
export async function findJob({ project }: Principal, id: string, { jobs }: Pick<Services, 'jobs'>): Promise<Job> {
  const job = await jobs.find(project, id);
  if (job !== null) return job;
  throw new Refusal('fine_tune_not_found', `There is no fine-tuning job "${id}"`, {
    param: 'fine_tuning_job_id',
    hint: 'GET /v1/fine_tuning/jobs lists them.',
  });
}
