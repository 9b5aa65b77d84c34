import type { Static } from 'typebox';
import type { Principal } from '../accounts/principal.ts';
import { isFamily } from '../formats/parse-model-config.ts';
import { Refusal } from '../formats/refusal.ts';
import { TUNING_TYPES } from '../formats/tuning/tuning.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import type { HubModel } from '../hub/hub.ts';
import { parseHubName } from '../hub/hub-name.ts';
import type { Job } from '../jobs/job.ts';
import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';
import type { ModelObject } from './schema.ts';
import type { BaseModel } from './store.ts';

type Model = Static<typeof ModelObject>;
type Needs = Pick<Services, 'models' | 'jobs' | 'jobRecord' | 'files' | 'objectStore' | 'hub'>;

/** Who owns a base model: it was here before any job. */
const BASE_OWNER = 'system';

const viewBase = ({ id, seenAt, family, parameters, sizeBytes, revision }: BaseModel & { seenAt: Date }): Model => ({
  id,
  object: 'model',
  created: unixSeconds(seenAt),
  owned_by: BASE_OWNER,
  family,
  parameters,
  size_bytes: sizeBytes,
  tuning_types: isFamily(family) ? TUNING_TYPES : [],
  ...(revision !== null && { revision, downloaded: true }),
});

/** One that no worker has yet: what a job on it would download. */
const viewOnHub = (id: string, { name, family, parameters, sizeBytes, commit, lastModified }: HubModel): Model => ({
  id,
  object: 'model',
  created: unixSeconds(lastModified),
  owned_by: name.slice(0, name.indexOf('/')),
  family,
  ...(parameters !== null && { parameters }),
  size_bytes: sizeBytes,
  tuning_types: TUNING_TYPES,
  revision: commit,
  downloaded: false,
});

const viewTuned = (id: string, created: Date, job: Pick<Job, 'id' | 'owner' | 'model' | 'tuning'>): Model => ({
  id,
  object: 'model',
  created: unixSeconds(created),
  owned_by: job.owner,
  base_model: job.model,
  job_id: job.id,
  tuning_type: job.tuning.type,
});

/** The base models that living workers have, and every tuned model of the caller's. */
export async function listModels({ organization }: Principal, { models, jobs }: Needs): Promise<Model[]> {
  const tuned = await jobs.listTuned(organization);
  return [...(await models.list()).map(viewBase), ...tuned.map((job) => viewTuned(job.fineTunedModel!, job.finishedAt ?? job.createdAt, job))];
}

/** A base model, a tuned one, a checkpoint's, or one on the hub that may be downloaded. @throws Refusal model_not_found, or what the hub says */
export async function findModel({ organization: owner }: Principal, id: string, { models, jobs, jobRecord, hub }: Needs): Promise<Model> {
  const base = await models.find(id);
  if (base) return viewBase(base);
  const job = await jobs.findByModel(owner, id);
  if (job) return viewTuned(id, job.finishedAt ?? job.createdAt, job);
  const checkpoint = await jobRecord.findCheckpoint(owner, id);
  const maker = checkpoint && (await jobs.find(owner, checkpoint.jobId));
  if (maker) return viewTuned(id, checkpoint.createdAt, maker);
  const onHub = parseHubName(id);
  if (onHub !== null && hub.allows(onHub.name)) return viewOnHub(id, await hub.describe(onHub));
  throw notFound(id);
}

/** Deletes a tuned model and what it is made of; its job stays. @throws Refusal */
export async function deleteModel({ organization: owner }: Principal, id: string, services: Needs): Promise<void> {
  const { jobs, models, files, objectStore } = services;
  const job = await jobs.findByModel(owner, id);
  if (job === null) {
    if (await models.find(id))
      throw new Refusal('invalid_value', `"${id}" is a base model`, { param: 'model', hint: 'Only tuned models can be deleted here.' });
    throw notFound(id);
  }
  await jobs.forgetModel(owner, id);
  for (const fileId of job.resultFileIds) {
    const file = await files.find(owner, fileId);
    if (file?.storageKey.startsWith(keys.adapter(job.id))) await files.delete(owner, fileId);
  }
  await objectStore.deletePrefix(keys.adapter(job.id));
}

const notFound = (id: string) => new Refusal('model_not_found', `There is no model "${id}"`, { param: 'model', hint: 'GET /v1/models lists them.' });
