import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import type { StoredFile } from '../../src/files/store.ts';
import type { AdapterProof, ProofFindings } from '../../src/formats/adapter-proof.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { fineTunedModelName, newFileId } from '../../src/ids.ts';
import type { Job } from '../../src/jobs/job.ts';
import { keys } from '../../src/object-store/keys.ts';
import type { Services } from '../../src/services.ts';
import type { TrainResult } from '../engine/contract.ts';
import { JobLost } from './endings.ts';
import { saveReport } from './progress.ts';
import { proveFiles } from './proof.ts';
import { resultsFile } from './results-file.ts';
import { type UploadedFile, uploadDirectory } from './stored-directory.ts';

/** How many problems the job's error lists; the proof has them all. */
const PROBLEMS_SHOWN = 5;

type Needs = Pick<Services, 'jobs' | 'jobRecord' | 'files' | 'reports' | 'objectStore'>;

export interface Delivery {
  services: Needs;
  job: Job;
  result: TrainResult;
  /** The directory that the files are read back into; its content is replaced. */
  deliveredDir: string;
  /** Loads the files of a directory in the process that trained. */
  load(dir: string): Promise<ProofFindings>;
}

/**
 * Finishes a successful run: uploads the adapter (or model), reads it back from the object store and proves it, adds the results file, gives every
 * file a row, and moves the job to `succeeded`. Another attempt may repeat everything before that move.
 * @throws Refusal when the proof fails, JobLost; the uploaded files are then removed
 */
export async function deliver({ services, job, result, deliveredDir, load }: Delivery): Promise<void> {
  const { jobRecord, objectStore } = services;
  const { id, attempt } = job;
  const folder = keys.newDelivery(id, attempt);
  try {
    const uploaded = await uploadDirectory(objectStore, result.outputDir, folder);
    await rm(deliveredDir, { recursive: true, force: true });
    await mkdir(deliveredDir);
    const proof = await proveFiles({ objectStore, prefix: folder, uploaded, dir: deliveredDir, load });
    await saveReport(services, job, 'proof', proof);
    if (!proof.passed) throw proofFailed(proof);
    const { measured_on: on, live, delivered } = proof.loss!;
    const message = `The delivered files were read back and proven: loss ${delivered.toFixed(4)} on the ${on.replace('_', ' ')}, ${live.toFixed(4)} before`;
    await jobRecord.appendEvent(id, { level: 'info', message });
    await succeed(services, job, { folder, uploaded, trainedTokens: result.trainedTokens });
  } catch (error) {
    // Only these say for certain that no row names the files: after any other error, a success may have been recorded.
    if (error instanceof Refusal || error instanceof JobLost) await objectStore.deletePrefix(folder);
    throw error;
  } finally {
    await rm(deliveredDir, { recursive: true, force: true });
  }
}

function proofFailed({ problems }: AdapterProof): Refusal {
  const shown = problems.slice(0, PROBLEMS_SHOWN).join('; ');
  const more = problems.length > PROBLEMS_SHOWN ? ` and ${problems.length - PROBLEMS_SHOWN} more` : '';
  return new Refusal('proof_failed', `The stored files differ from what was trained, so they were not delivered: ${shown}${more}`, {
    hint: "GET the job's proof for the full list.",
  });
}

async function succeed(
  services: Needs,
  job: Job,
  { folder, uploaded, trainedTokens }: { folder: string; uploaded: UploadedFile[]; trainedTokens: number },
): Promise<void> {
  const { jobs, jobRecord, files, objectStore } = services;
  const { id, owner, attempt } = job;
  // An attempt that was killed after this point left its rows behind.
  for (const leftover of (await jobs.findAny(id))?.resultFileIds ?? []) await files.delete(owner, leftover);
  const results = newFileId();
  const rows = uploaded.map((file) => ({ id: newFileId(), file }));
  const resultFileIds = [results, ...rows.map((row) => row.id)];
  if ((await jobs.heartbeat(id, attempt, { resultFileIds })) === null) throw new JobLost();
  await putResults(services, job, results);
  for (const row of rows) await addAdapterFile(services, owner, row);
  const fineTunedModel = fineTunedModelName(job);
  if ((await jobs.move(id, 'succeed', { attempt, patch: { fineTunedModel, adapterFolder: folder, trainedTokens } })) === null) {
    for (const row of resultFileIds) await files.delete(owner, row);
    await objectStore.delete(keys.file(results));
    throw new JobLost();
  }
  await jobRecord.appendEvent(id, { level: 'info', message: `New fine-tuned model created: ${fineTunedModel}` });
  await jobRecord.appendEvent(id, { level: 'info', message: 'The job has successfully completed' });
}

async function putResults({ jobRecord, files, objectStore }: Needs, job: Job, id: string): Promise<StoredFile> {
  const csv = resultsFile(await jobRecord.metrics(job.id));
  const storageKey = keys.file(id);
  const { sizeBytes } = await objectStore.put(storageKey, csv);
  const sha256 = createHash('sha256').update(csv).digest('hex');
  return files.create(job.owner, { id, filename: 'step_metrics.csv', purpose: 'fine-tune-results', sizeBytes, sha256, storageKey });
}

function addAdapterFile({ files }: Needs, owner: string, { id, file }: { id: string; file: UploadedFile }): Promise<StoredFile> {
  const { name, key, sizeBytes, sha256 } = file;
  return files.create(owner, { id, filename: name, purpose: 'fine-tune-results', sizeBytes, sha256, storageKey: key });
}
