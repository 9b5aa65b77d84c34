import type { Static } from 'typebox';
import type { Principal } from '../accounts/principal.ts';
import { isFamily } from '../formats/parse-model-config.ts';
import { Refusal } from '../formats/refusal.ts';
import { TUNING_TYPES } from '../formats/tuning/tuning.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { type Page, pageOf } from '../http/paging.ts';
import type { HubModel } from '../hub/hub.ts';
import { parseHubName } from '../hub/hub-name.ts';
import { TUNED_PREFIX } from '../ids.ts';
import { noWorker } from '../jobs/base-model.ts';
import { findCheckpoint } from '../jobs/find-checkpoint.ts';
import type { Job } from '../jobs/job.ts';
import { ownerOfModel } from '../permissions/shared.ts';
import type { Services } from '../services.ts';
import type { ModelObject } from './schema.ts';
import type { BaseModel } from './store.ts';

type Model = Static<typeof ModelObject>;
type Needs = Pick<Services, 'models' | 'jobs' | 'jobRecord' | 'hub'>;

/** Owner of base models, which no user created. */
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

/** A model that no worker has yet, as a job would download it. */
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

const viewTuned = (id: string, created: Date, job: Pick<Job, 'id' | 'organization' | 'model' | 'tuning'>): Model => ({
  id,
  object: 'model',
  created: unixSeconds(created),
  owned_by: job.organization,
  base_model: job.model,
  job_id: job.id,
  tuning_type: job.tuning.type,
});

/**
 * A page of the base models of live workers, by name, and then the caller's tuned models, newest first.
 * @throws Refusal if `after` names a tuned model that never existed
 */
export async function listModels(
  { project }: Principal,
  { after, limit }: { after?: string; limit: number },
  { models, jobs }: Needs,
): Promise<Page<Model>> {
  const afterTuned = after?.startsWith(TUNED_PREFIX) ? after : undefined;
  // Names are their own positions, also of a model whose workers have gone.
  const bases = afterTuned === undefined ? (await models.list()).filter(({ id }) => after === undefined || id > after) : [];
  bases.sort((a, b) => (a.id < b.id ? -1 : 1)); // not in the order of the database's language
  const rest = limit - bases.length;
  if (rest < 0) return pageOf(bases.map(viewBase), limit);
  const tuned = await jobs.listTuned(project, { limit: rest, ...(afterTuned !== undefined && { after: afterTuned }) });
  const views = tuned.data.map((job) => viewTuned(job.fineTunedModel!, job.finishedAt ?? job.createdAt, job));
  return { data: [...bases.map(viewBase), ...views], hasMore: tuned.hasMore };
}

/** Finds a base model, a tuned model, a checkpoint, or a model on the hub that may be downloaded. @throws Refusal model_not_found, or the hub's */
export async function findModel(principal: Principal, id: string, services: Needs & Pick<Services, 'permissions'>): Promise<Model> {
  const { models, jobs, hub } = services;
  const base = await models.find(id);
  if (base) return viewBase(base);
  const owner = await ownerOfModel(principal, id, services);
  const job = await jobs.findByModel(owner, id);
  if (job) return viewTuned(id, job.finishedAt ?? job.createdAt, job);
  const found = await findCheckpoint(owner, id, services);
  if (found !== null) return viewTuned(id, found.checkpoint.createdAt, found.job);
  const onHub = parseHubName(id);
  if (onHub !== null && hub.allows(onHub.name)) return viewOnHub(id, await hub.describe(onHub));
  if (!id.startsWith(TUNED_PREFIX) && !(await models.hasWorkers())) throw noWorker(id);
  throw modelNotFound(id);
}

export const modelNotFound = (id: string) =>
  new Refusal('model_not_found', `There is no model "${id}"`, { param: 'model', hint: 'GET /v1/models lists them.' });
