import type { Principal } from '../accounts/principal.ts';
import { checkpointSuffix, TUNED_PREFIX } from '../ids.ts';
import { findJob } from '../jobs/find.ts';
import type { Job } from '../jobs/job.ts';
import type { Services } from '../services.ts';

/** @returns the project in which the caller finds a model: one that shares it with them, or their own */
export async function ownerOfModel({ project }: Principal, model: string, { permissions }: Pick<Services, 'permissions'>): Promise<string> {
  if (!model.startsWith(TUNED_PREFIX)) return project;
  return (await permissions.ownerSharing(project, model)) ?? project;
}

/**
 * Finds the job whose files the caller may download: their own, or one whose model is shared with them.
 * @param wanted.step  of the checkpoint that is asked for; undefined: the delivered model is
 * @throws Refusal fine_tune_not_found
 */
export async function findDownloadable(
  principal: Principal,
  { id, step }: { id: string; step?: number },
  services: Pick<Services, 'jobs' | 'permissions'>,
): Promise<Job> {
  const own = await services.jobs.find(principal.project, id);
  if (own !== null) return own;
  for (const { owner, model } of await services.permissions.ofJob(principal.project, id)) {
    const job = await services.jobs.find(owner, id);
    const isAskedFor = step === undefined ? model === job?.fineTunedModel : model.endsWith(checkpointSuffix(step));
    if (job !== null && isAskedFor) return job;
  }
  return findJob(principal, id, services);
}
