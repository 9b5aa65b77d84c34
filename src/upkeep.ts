import { setTimeout as delay } from 'node:timers/promises';
import { sweepTombstones } from './database/tombstones.ts';
import { sweepExports } from './exports/sweep.ts';
import { sweepFiles } from './files/sweep.ts';
import { sweepAccounts } from './housekeeping/accounts.ts';
import { objectSweep, SWEEP_OBJECTS_EVERY_MS } from './housekeeping/objects.ts';
import { sweepExpired } from './housekeeping/retention.ts';
import { sweepSweeps } from './housekeeping/sweeps.ts';
import { sweepWorkers } from './housekeeping/workers.ts';
import { SYNC_EVERY_MS, syncIntegrations } from './integrations/sync.ts';
import { explainFullProjects } from './jobs/full-projects.ts';
import { explainLacks } from './jobs/lacks.ts';
import { openReconciler, RECONCILE_EVERY_MS } from './jobs/reconcile.ts';
import type { Services } from './services.ts';
import { advanceSweeps } from './sweeps/advance.ts';
import { sweepUploads } from './uploads/sweep.ts';
import { DELIVER_EVERY_MS, openDeliverer, sweepWebhooks } from './webhooks/deliver.ts';

export interface Upkeep {
  /** Begins the next round now. */
  wake(): void;
  stop(): Promise<void>;
}

/**
 * Background work of the API process, at once and then again and again: every few seconds it re-queues jobs that Redis or a worker lost, advances
 * sweeps, removes deleted files, ended uploads and dead workers, and sends webhooks; every hour it removes what has expired, what killed uploads
 * left, old tombstones and answers.
 */
export function startUpkeep(services: Services): Upkeep {
  const stopping = new AbortController();
  let waking = new AbortController();

  const repeat = async (work: () => Promise<void>, pause: () => Promise<void>) => {
    while (!stopping.signal.aborted) {
      await work().catch((error: unknown) => services.log.error({ err: error }, 'upkeep failed and will be retried'));
      await pause().catch(() => {});
    }
  };
  const untilWoken = () => {
    waking = new AbortController();
    return delay(RECONCILE_EVERY_MS, undefined, { signal: AbortSignal.any([stopping.signal, waking.signal]) });
  };
  const restOfHour = () => delay(SWEEP_OBJECTS_EVERY_MS, undefined, { signal: stopping.signal });
  const explain = explainLacks(services);
  const { reconcile } = openReconciler(services);
  const sweepObjects = objectSweep(services);
  const deliverer = openDeliverer(services);
  const running = [
    repeat(async () => {
      await reconcile();
      await explain();
      await explainFullProjects(services);
      await advanceSweeps(services);
      services.validator.wake();
      await sweepFiles(services);
      await sweepUploads(services);
      await sweepWorkers(services);
    }, untilWoken),
    repeat(deliverer.begin, () => delay(DELIVER_EVERY_MS, undefined, { signal: stopping.signal })),
    repeat(
      () => syncIntegrations(services),
      () => delay(SYNC_EVERY_MS, undefined, { signal: stopping.signal }),
    ),
    repeat(() => sweepExpired(services), restOfHour),
    repeat(() => sweepExports(services), restOfHour),
    repeat(() => sweepSweeps(services), restOfHour),
    repeat(() => sweepTombstones(services.database), restOfHour),
    repeat(() => sweepWebhooks(services), restOfHour),
    repeat(() => services.retries.sweep(), restOfHour),
    repeat(sweepObjects, restOfHour),
    repeat(() => sweepAccounts(services), restOfHour),
  ];
  return {
    wake: () => waking.abort(),
    async stop() {
      stopping.abort();
      await Promise.all(running);
      await deliverer.idle();
    },
  };
}
