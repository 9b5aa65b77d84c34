import type { Static } from 'typebox';
import { ServiceError } from '../errors.ts';
import { ORGANIZATION } from '../jobs/ids.ts';
import { unixSeconds } from '../list-schema.ts';
import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';
import type { ModelObject } from './schema.ts';

type Model = Static<typeof ModelObject>;
type Needs = Pick<Services, 'models' | 'jobs' | 'files' | 'objectStore'>;

/** Who owns a base model: it was here before any job. */
const BASE_OWNER = 'system';

const view = (id: string, created: Date, owner: string): Model => ({ id, object: 'model', created: unixSeconds(created), owned_by: owner });

/** The base models that living workers have, and every tuned model. */
export async function listModels({ models, jobs }: Needs): Promise<Model[]> {
  const tuned = await jobs.listTuned();
  return [
    ...(await models.list()).map((model) => view(model.id, model.seenAt, BASE_OWNER)),
    ...tuned.map((job) => view(job.fineTunedModel!, job.finishedAt ?? job.createdAt, ORGANIZATION)),
  ];
}

/** A base model, a tuned one, or a checkpoint's. @throws ServiceError model_not_found */
export async function findModel(id: string, { models, jobs }: Needs): Promise<Model> {
  const base = await models.find(id);
  if (base) return view(id, base.seenAt, BASE_OWNER);
  const job = await jobs.findByModel(id);
  if (job) return view(id, job.finishedAt ?? job.createdAt, ORGANIZATION);
  const checkpoint = await jobs.findCheckpoint(id);
  if (checkpoint) return view(id, checkpoint.createdAt, ORGANIZATION);
  throw notFound(id);
}

/** Deletes a tuned model and what it is made of; its job stays. @throws ServiceError */
export async function deleteModel(id: string, services: Needs): Promise<void> {
  const { jobs, models, files, objectStore } = services;
  const job = await jobs.findByModel(id);
  if (job === null) {
    if (await models.find(id))
      throw new ServiceError('invalid_value', `"${id}" is a base model`, { param: 'model', hint: 'Only tuned models can be deleted here.' });
    throw notFound(id);
  }
  await jobs.forgetModel(id);
  for (const fileId of job.resultFileIds) {
    const file = await files.find(fileId);
    if (file?.storageKey.startsWith(keys.adapter(job.id))) await files.delete(fileId);
  }
  await objectStore.deletePrefix(keys.adapter(job.id));
}

const notFound = (id: string) =>
  new ServiceError('model_not_found', `There is no model "${id}"`, { param: 'model', hint: 'GET /v1/models lists them.' });
