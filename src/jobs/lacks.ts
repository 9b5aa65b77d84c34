/** Jobs that no worker can take: says why, and keeps them from standing in the way of others. */
import { announcedName } from '../hub/hub-name.ts';
import type { Services } from '../services.ts';
import type { DemandedModel } from './demand-store.ts';
import type { Lack, Outage } from './setback.ts';

/** A worker that starts, restarts or was cut off for a moment announces its models again within this time. */
const PATIENCE_MS = 30_000;
/** How many of the models that there are an explanation names. */
const MODELS_NAMED = 5;

type Needs = Pick<Services, 'demand' | 'models' | 'hub'>;

/** Judges what live workers have, as far as they say: one commit of each model. With any commit they count as having them all. */
async function supply({ models, hub }: Needs) {
  const [announced, hasWorkers] = [await models.announced(), await models.hasWorkers()];
  return {
    lackOf({ model, modelRevision }: DemandedModel): (Outage & { need: Lack }) | null {
      if (!hasWorkers) return { need: 'worker', detail: 'whoever runs the service can start one with `npm run worker`' };
      const name = announcedName({ model, modelRevision });
      if (announced.some(({ id, revision }) => id === name && (revision === null) === (modelRevision === null))) return null;
      if (modelRevision !== null && hub.allows(name)) return null;
      const others = [...new Set(announced.map(({ id }) => id))];
      const named = others.slice(0, MODELS_NAMED).join(', ') + (others.length > MODELS_NAMED ? ', …' : '');
      return { need: 'base_model', detail: `"${model}" was removed or its workers are away (there is ${named || 'no other'})` };
    },
  };
}

/** The waiting jobs' models that no worker has. Of each, the oldest job is worth a try: a worker may have what it did not announce. */
export async function lackingModels(services: Needs): Promise<(DemandedModel & { id: string })[]> {
  const { lackOf } = await supply(services);
  return (await services.demand.oldestOfEachModel()).filter((job) => lackOf(job)?.need === 'base_model');
}

/** @returns one round: explains the jobs that nobody could take for a while, and takes it back when that is over */
export function explainLacks(services: Needs & Pick<Services, 'log'>, patienceMs = PATIENCE_MS): () => Promise<void> {
  const { demand, log } = services;
  const sinceMs = new Map<string, number>();
  return async () => {
    const { lackOf } = await supply(services);
    const waiting = await demand.oldestOfEachModel();
    const seen = new Set<string>();
    for (const { model, modelRevision } of waiting) {
      const lack = lackOf({ model, modelRevision });
      for (const other of LACKS) if (other !== lack?.need) await demand.withdraw({ model, modelRevision }, other);
      if (lack === null) continue;
      const key = `${lack.need} ${model} ${modelRevision}`;
      seen.add(key);
      if (!sinceMs.has(key)) sinceMs.set(key, performance.now());
      if (performance.now() - sinceMs.get(key)! < patienceMs) continue;
      const jobs = await demand.explain({ model, modelRevision }, lack);
      if (jobs > 0) log.warn({ jobs, model, waitingFor: lack.need }, 'jobs wait that no worker can take');
    }
    for (const key of sinceMs.keys()) if (!seen.has(key)) sinceMs.delete(key);
  };
}

const LACKS: readonly Lack[] = ['worker', 'base_model'];
