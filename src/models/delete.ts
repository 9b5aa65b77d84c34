import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import { findCheckpoint } from '../jobs/find-checkpoint.ts';
import type { Checkpoint, Job } from '../jobs/job.ts';
import { isFinal } from '../jobs/state.ts';
import type { Services } from '../services.ts';
import { modelNotFound } from './catalogue.ts';

type Needs = Pick<Services, 'models' | 'jobs' | 'jobRecord' | 'retention' | 'exports' | 'objectStore' | 'log'>;

/**
 * Deletes a tuned model with all that has its job's weights: the delivered files, every checkpoint, the result files and exports. The job stays, with its events and
 * reports. A checkpoint's name deletes that checkpoint alone.
 * @throws Refusal when it is a base model, unknown, or a checkpoint of a job that has not ended
 */
export async function deleteModel({ project: owner }: Principal, id: string, services: Needs): Promise<void> {
  const { jobs, models } = services;
  const job = await jobs.findByModel(owner, id);
  if (job !== null) return deleteTuned(job, services);
  const found = await findCheckpoint(owner, id, services);
  if (found !== null) return deleteCheckpoint(found.job, found.checkpoint, services);
  if (await models.find(id))
    throw new Refusal('invalid_value', `"${id}" is a base model`, { param: 'model', hint: 'Only tuned models and checkpoints can be deleted.' });
  throw modelNotFound(id);
}

/** Its name goes last, so that a deletion that failed midway can be repeated. */
async function deleteTuned(job: Job, { retention, exports, objectStore }: Needs): Promise<void> {
  for (const folder of await exports.forgetOfJob(job.id)) await objectStore.deletePrefix(folder);
  const folders = (await retention.checkpoints(job.id)).map(({ folder }) => folder);
  for (const folder of job.adapterFolder === null ? folders : [job.adapterFolder, ...folders]) await objectStore.deletePrefix(folder);
  await retention.forgetModel(job);
}

async function deleteCheckpoint(job: Job, { name, step, folder }: Checkpoint, services: Needs): Promise<void> {
  const { retention, exports, objectStore, log } = services;
  if (!isFinal(job.status) || !(await retention.forgetCheckpoint(job, { step, message: `The checkpoint ${name} has been deleted` })))
    throw new Refusal('checkpoint_in_use', `The job "${job.id}", which has the checkpoint "${name}", has not ended and may resume from it`, {
      param: 'model',
      hint: 'Cancel the job first, or wait for its end.',
    });
  // No row names it any more, so the sweep of stored objects removes what stays now.
  for (const gone of [folder, ...(await exports.forgetOfJob(job.id, name))])
    await objectStore
      .deletePrefix(gone)
      .catch((error: unknown) => log.warn({ err: error, folder: gone }, 'a deleted checkpoint could not be removed yet'));
}
