import { Refusal } from '../formats/refusal.ts';
import { type HubName, parseHubName } from '../hub/hub-name.ts';
import { isUnreachable } from '../hub/hub-refusal.ts';
import type { Services } from '../services.ts';

type Needs = Pick<Services, 'models' | 'hub' | 'log'>;

/**
 * Finds the base model that a job names: a local directory of a worker, or a model of the hub at the commit that its name refers to now, or that a
 * worker has if nothing may be downloaded.
 * A job that resumes after the branch has moved stays on that commit.
 * @returns the commit; null for a local directory
 * @throws Refusal, before anything is queued
 */
export async function commitOfModel(model: string, { models, hub, log }: Needs): Promise<string | null> {
  const onHub = parseHubName(model);
  const onDisk = (await models.find(model)) ?? (await atCommit(onHub, models));
  if (onDisk !== null && onDisk.revision === null) return null;
  if (onHub === null && onDisk !== null) return onDisk.revision; // in a Hugging Face cache, under a name without an organization
  if (onHub === null) throw await notFound(model, models);
  if (!hub.allows(onHub.name)) {
    if (onDisk !== null) return onDisk.revision; // downloaded when it was allowed
    throw new Refusal('model_download_not_allowed', `No worker has "${model}", and downloading it from the hub is not allowed`, {
      param: 'model',
      hint: 'The operator of the service can allow it with ALLOW_MODEL_DOWNLOAD; GET /v1/models lists the available models.',
    });
  }
  try {
    return (await hub.describe(onHub)).commit;
  } catch (error) {
    if (!isUnreachable(error) || onDisk === null) throw error;
    log.warn({ err: error, model, commit: onDisk.revision }, 'the hub cannot be reached: the job uses the downloaded commit');
    return onDisk.revision;
  }
}

/** @returns the model that a worker has, if the name asks for the very commit that it has; only the hub knows what a branch or a tag refers to */
async function atCommit(named: HubName | null, models: Needs['models']): ReturnType<Needs['models']['find']> {
  if (named === null || named.revision === null) return null;
  const onDisk = await models.find(named.name);
  return onDisk?.revision === named.revision ? onDisk : null;
}

/** Which models there are is known once a worker has announced them, some seconds after the start. */
export const noWorker = (model: string): Refusal =>
  new Refusal('no_worker', `No worker is running yet that could have the model "${model}"`, {
    param: 'model',
    hint: 'Ask again in a few seconds. If it stays so, whoever runs the service can start a worker with `npm run worker`.',
  });

async function notFound(model: string, models: Needs['models']): Promise<Refusal> {
  if (!(await models.hasWorkers())) return noWorker(model);
  const available = (await models.list()).map(({ id }) => id);
  const hint = available.length === 0 ? 'The workers that run have no base model.' : `Available: ${available.join(', ')}.`;
  return new Refusal('model_not_found', `There is no base model "${model}"`, { param: 'model', hint });
}
