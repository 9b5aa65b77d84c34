import { setTimeout as delay } from 'node:timers/promises';
import { sweepFiles } from './files/sweep.ts';
import { RECONCILE_EVERY_MS, reconcile } from './jobs/reconcile.ts';
import type { Services } from './services.ts';

/** Background work of the API process: re-queues jobs that Redis lost and removes deleted files, at once and then every few seconds. */
export function startUpkeep(services: Services): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const rounds = async () => {
    while (!stopping.signal.aborted) {
      try {
        await reconcile(services);
        await sweepFiles(services);
      } catch (error) {
        services.log.error({ err: error }, 'upkeep failed and will be retried');
      }
      await delay(RECONCILE_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  };
  const running = rounds();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
