import { setTimeout as delay } from 'node:timers/promises';
import { sweepFiles } from './files/sweep.ts';
import { RECONCILE_EVERY_MS, reconcile } from './jobs/reconcile.ts';
import type { Services } from './services.ts';

/** What the API process does beside answering: jobs that Redis forgot, files that were deleted. First at once, then every few seconds. */
export function startUpkeep(services: Services): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const rounds = async () => {
    while (!stopping.signal.aborted) {
      try {
        await reconcile(services);
        await sweepFiles(services);
      } catch (error) {
        services.log.error({ err: error }, 'upkeep failed and is tried again');
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
