import { setTimeout as delay } from 'node:timers/promises';
import { sweepFiles } from './files/sweep.ts';
import { RECONCILE_EVERY_MS, reconcile } from './jobs/reconcile.ts';
import type { Services } from './services.ts';

export interface Upkeep {
  /** Begins the next round now. */
  wake(): void;
  stop(): Promise<void>;
}

/** Background work of the API process: re-queues jobs that Redis lost and removes deleted files, at once and then every few seconds. */
export function startUpkeep(services: Services): Upkeep {
  const stopping = new AbortController();
  let waking = new AbortController();
  const rounds = async () => {
    while (!stopping.signal.aborted) {
      waking = new AbortController();
      try {
        await reconcile(services);
        await sweepFiles(services);
      } catch (error) {
        services.log.error({ err: error }, 'upkeep failed and will be retried');
      }
      await delay(RECONCILE_EVERY_MS, undefined, { signal: AbortSignal.any([stopping.signal, waking.signal]) }).catch(() => {});
    }
  };
  const running = rounds();
  return {
    wake: () => waking.abort(),
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
