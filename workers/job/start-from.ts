/** Brings the tuned model that a job starts from to this machine. */
import { rm } from 'node:fs/promises';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Job, StoredModel } from '../../src/jobs/job.ts';
import type { ObjectStore } from '../../src/object-store/object-store.ts';
import type { Services } from '../../src/services.ts';
import type { JobFolder } from './folder.ts';
import { requireSameTokenizer } from './same-tokenizer.ts';
import { DamagedFile, downloadDirectory, downloadFiles } from './stored-directory.ts';
import { unpackAdapter } from './unpack-adapter.ts';

type Needs = Pick<Services, 'objectStore'>;

/** @returns the directory of the fully tuned model that the job trains on; null if it trains on a base model. @throws as `fetchStoredModel` does */
export async function fetchTunedBase({ startFrom }: Job, { baseDir }: JobFolder, { objectStore }: Needs): Promise<string | null> {
  if (startFrom === null || startFrom.base === null) return null;
  await fetchStoredModel(startFrom.base, baseDir, objectStore);
  return baseDir;
}

/**
 * For a run that begins; one that resumes has the adapter's values in its checkpoint.
 * @throws as `fetchStoredModel` does; Refusal for an uploaded adapter of another tokenizer
 */
export async function fetchAdapterToContinue(
  { startFrom }: Job,
  { folder: { startDir }, modelPath }: { folder: JobFolder; modelPath: string },
  { objectStore }: Needs,
): Promise<void> {
  if (!startFrom?.adapter) return;
  const { name, tar, files } = startFrom.adapter;
  if (tar === undefined) return fetchStoredModel(startFrom.adapter, startDir, objectStore);
  await unpackAdapter({ name, tar, files }, startDir, objectStore);
  await requireSameTokenizer(startDir, modelPath);
}

/**
 * @param dir  its content is replaced
 * @throws Refusal if the model has been deleted or differs from what was delivered; errors of the store
 */
export async function fetchStoredModel({ name, folder, files }: StoredModel, dir: string, objectStore: ObjectStore): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  const gone = () =>
    new Refusal('model_not_found', `The model "${name}" has been deleted`, {
      param: 'model',
      hint: 'GET /v1/models lists the models.',
    });
  if (files.length === 0) {
    if ((await downloadDirectory(objectStore, folder, dir)) === 0) throw gone();
    return;
  }
  if ((await objectStore.list(folder)).length === 0) throw gone();
  await downloadFiles(objectStore, { prefix: folder, files, dir }).catch((error) => {
    if (!(error instanceof DamagedFile)) throw error;
    throw new Refusal('corrupt_model_file', `The model "${name}" is damaged: ${error.message}`, { param: 'model' });
  });
}
