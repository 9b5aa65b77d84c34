import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';

/**
 * Removes the content and rows of deleted and expired files, unless an unfinished job still reads them. Objects of a job
 * (adapter files that are also listed as result files) are kept until the job's model is deleted.
 */
export async function sweepFiles({ files, objectStore }: Pick<Services, 'files' | 'objectStore'>): Promise<void> {
  for (const file of await files.findGone()) {
    if (await files.isInUse(file)) continue;
    if (file.storageKey === keys.file(file.id)) await objectStore.delete(file.storageKey);
    await files.forget(file.id);
  }
}
