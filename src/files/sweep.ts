import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';
import type { StoredFile } from './store.ts';

type Needs = Pick<Services, 'files' | 'reports' | 'objectStore' | 'log'>;

/** Removes what is left of deleted and expired files. One that cannot be removed now is tried again in the next round. */
export async function sweepFiles(services: Needs): Promise<void> {
  for (const file of await services.files.findGone()) await removeUnused(file, services);
}

/**
 * Removes the content and row of a deleted file, and what receipts quote of it, unless an unfinished job still reads it. Objects of a job (adapter files
 * that are also listed as result files) are kept until the job's model is deleted.
 */
export async function removeUnused(file: StoredFile, { files, reports, objectStore, log }: Needs): Promise<void> {
  try {
    if (await files.isInUse(file)) return;
    await reports.forgetText(file.id);
    if (keys.isOfFile(file.storageKey, file.id)) await objectStore.delete(file.storageKey);
    await files.forget(file.id);
  } catch (error) {
    log.warn({ err: error, fileId: file.id }, 'a deleted file could not be removed yet');
  }
}
