import { Refusal } from '../formats/refusal.ts';
import { parseHubName } from '../hub/hub-name.ts';
import { isUnreachable } from '../hub/hub-refusal.ts';
import type { Services } from '../services.ts';

type Needs = Pick<Services, 'models' | 'hub' | 'log'>;

/**
 * The base model that a job asks for: a worker's directory, or a model on the hub at the commit that its name means now. A job that is
 * carried on later, when the branch has moved, is still on that commit.
 * @returns the commit; null for a directory of the workers' own
 * @throws Refusal what is wrong with it, before anything is queued
 */
export async function commitOfModel(model: string, { models, hub, log }: Needs): Promise<string | null> {
  const there = await models.find(model);
  if (there !== null && there.revision === null) return null;
  const onHub = parseHubName(model);
  if (onHub === null) throw await notFound(model, models);
  if (!hub.allows(onHub.name)) {
    if (there !== null) return there.revision; // downloaded when it was allowed
    throw new Refusal('model_download_not_allowed', `No worker has "${model}", and it may not be downloaded from the hub`, {
      param: 'model',
      hint: 'Whoever runs the service can allow it with ALLOW_MODEL_DOWNLOAD; GET /v1/models lists what is there.',
    });
  }
  try {
    return (await hub.describe(onHub)).commit;
  } catch (error) {
    if (!isUnreachable(error) || there === null) throw error;
    log.warn({ err: error, model, commit: there.revision }, 'the hub cannot be reached: the job is on what was downloaded');
    return there.revision;
  }
}

async function notFound(model: string, models: Needs['models']): Promise<Refusal> {
  const there = (await models.list()).map(({ id }) => id);
  const hint = there.length === 0 ? 'No worker with a base model is running: start one with `npm run worker`.' : `There is: ${there.join(', ')}.`;
  return new Refusal('model_not_found', `There is no base model "${model}"`, { param: 'model', hint });
}
