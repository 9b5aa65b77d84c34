import type { Services } from '../services.ts';

/** Removes what has expired. */
export async function sweepExports({ exports, objectStore, log }: Pick<Services, 'exports' | 'objectStore' | 'log'>): Promise<void> {
  for (const folder of await exports.forgetExpired()) {
    // The row is gone, so the sweep of stored objects removes what stays now.
    await objectStore.deletePrefix(folder).catch((error: unknown) => log.warn({ err: error, folder }, 'an expired export could not be removed yet'));
    log.info({ folder }, 'removed an expired export');
  }
}
