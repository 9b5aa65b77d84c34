import type { Principal } from '../accounts/principal.ts';
import { jsonText } from '../formats/json-text.ts';
import { Refusal } from '../formats/refusal.ts';
import { announcedName } from '../hub/hub-name.ts';
import { TUNED_PREFIX } from '../ids.ts';
import { commitOfModel } from '../jobs/base-model.ts';
import { continuedFrom } from '../jobs/start-from.ts';
import { ownerOfModel } from '../permissions/shared.ts';
import type { Services } from '../services.ts';
import type { ServedModel } from './messages.ts';

type Needs = Pick<Services, 'models' | 'jobs' | 'jobRecord' | 'reports' | 'hub' | 'permissions' | 'log'>;

/**
 * Finds what answers under a name: a base model, a tuned model or a checkpoint that the caller may use. The name that a job's model will have is answered by
 * its newest checkpoint until then.
 * @throws Refusal model_not_found, and others about the base model
 */
export async function servedModel(principal: Principal, name: string, services: Needs): Promise<ServedModel> {
  if (!name.startsWith(TUNED_PREFIX)) {
    const revision = await commitOfModel(name, services);
    return { name, base: baseOf(name, revision), tunedBase: null, adapter: null, templateKwargs: null };
  }
  const owner = await ownerOfModel(principal, name, services);
  const { model, modelRevision, chatTemplateKwargs: kwargs, startFrom } = await found(owner, name, services);
  return {
    name,
    base: baseOf(model, modelRevision),
    tunedBase: startFrom.base,
    adapter: startFrom.adapter,
    templateKwargs: kwargs && jsonText(kwargs),
  };
}

const baseOf = (model: string, modelRevision: string | null) => ({ id: announcedName({ model, modelRevision }), revision: modelRevision });

/** A job that started from this model would begin with the same weights. */
async function found(owner: string, name: string, services: Needs): ReturnType<typeof continuedFrom> {
  try {
    return await continuedFrom(owner, { name, tuning: undefined }, services);
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'model_not_found') throw error;
    const newest = await services.jobRecord.newestOfModel(owner, name);
    if (newest === null) throw error;
    return continuedFrom(owner, { name: newest.name, tuning: undefined }, services);
  }
}
