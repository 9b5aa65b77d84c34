import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';

/**
 * Removes what deleted and expired files have left, unless an unfinished job still reads it. Objects of a job (adapters that are
 * also listed as result files) stay: they go with the job or its model.
 */
export async function sweepFiles({ files, objectStore }: Pick<Services, 'files' | 'objectStore'>): Promise<void> {
  for (const file of await files.findGone()) {
    if (await files.isInUse(file)) continue;
    if (file.storageKey === keys.file(file.id)) await objectStore.delete(file.storageKey);
    await files.forget(file.id);
  }
}
