import { createHash } from 'node:crypto';
import type { StoredFile } from '../src/files/store.ts';
import { fineTunedModelName, newFileId } from '../src/jobs/ids.ts';
import type { Job } from '../src/jobs/job.ts';
import { keys } from '../src/object-store/keys.ts';
import type { Services } from '../src/services.ts';
import type { TrainResult } from './engine/contract.ts';
import { JobLost } from './job-journal.ts';
import { resultsFile } from './results-file.ts';
import { type UploadedFile, uploadDirectory } from './stored-directory.ts';

type Needs = Pick<Services, 'jobs' | 'files' | 'objectStore'>;

/**
 * The end of a good run: the adapter (or model) and the results file into the object store, each a file of its own, and the job succeeded.
 * @throws JobLost; then nothing of it is left
 */
export async function deliver(services: Needs, job: Job, { outputDir, trainedTokens }: TrainResult): Promise<void> {
  const { jobs, files, objectStore } = services;
  const { id, attempt } = job;
  const uploaded = await uploadDirectory(objectStore, outputDir, keys.adapter(id));
  const rows = [await putResults(services, id)];
  for (const file of uploaded) rows.push(await addAdapterFile(services, file));
  const fineTunedModel = fineTunedModelName(job);
  const patch = { fineTunedModel, trainedTokens, resultFileIds: rows.map((row) => row.id) };
  if ((await jobs.move(id, 'succeed', { attempt, patch })) === null) {
    for (const row of rows) await files.delete(row.id);
    await objectStore.delete(rows[0]!.storageKey);
    // A later attempt would write the very same files: only a job that is over loses them.
    if ((await jobs.find(id))?.attempt === attempt) await objectStore.deletePrefix(keys.adapter(id));
    throw new JobLost();
  }
  await jobs.appendEvent(id, { level: 'info', message: `New fine-tuned model created: ${fineTunedModel}` });
  await jobs.appendEvent(id, { level: 'info', message: 'The job has successfully completed' });
}

async function putResults({ jobs, files, objectStore }: Needs, jobId: string): Promise<StoredFile> {
  const csv = resultsFile(await jobs.metrics(jobId));
  const id = newFileId();
  const storageKey = keys.file(id);
  const { sizeBytes } = await objectStore.put(storageKey, csv);
  const sha256 = createHash('sha256').update(csv).digest('hex');
  return files.create({ id, filename: 'step_metrics.csv', purpose: 'fine-tune-results', sizeBytes, sha256, storageKey });
}

function addAdapterFile({ files }: Needs, { name, key, sizeBytes, sha256 }: UploadedFile): Promise<StoredFile> {
  return files.create({ id: newFileId(), filename: name, purpose: 'fine-tune-results', sizeBytes, sha256, storageKey: key });
}
