import { isDeadHere } from '../jobs/lost.ts';
import type { Services } from '../services.ts';

/** A worker that was cut off may come back and announces itself again; after this long nobody waits for it. */
const FORGET_AFTER_MS = 3_600_000;

/** Removes the rows of workers that died, with the models that they had. */
export async function sweepWorkers({ models, log }: Pick<Services, 'models' | 'log'>): Promise<void> {
  for (const { id, silentMs } of await models.workers()) {
    if (silentMs < FORGET_AFTER_MS && !(await isDeadHere(id))) continue;
    await models.removeWorker(id);
    log.info({ worker: id, silentMs }, 'removed a worker that died');
  }
}
