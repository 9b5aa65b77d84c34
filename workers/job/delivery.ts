import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import type { StoredFile } from '../../src/files/store.ts';
import type { AdapterProof, ProofFindings } from '../../src/formats/adapter-proof.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { fineTunedModelName, newFileId } from '../../src/ids.ts';
import type { Job } from '../../src/jobs/job.ts';
import { isFinal } from '../../src/jobs/state.ts';
import { keys } from '../../src/object-store/keys.ts';
import type { Services } from '../../src/services.ts';
import type { TrainResult } from '../engine/contract.ts';
import { JobLost } from './endings.ts';
import { keepReport } from './progress.ts';
import { proveFiles } from './proof.ts';
import { resultsFile } from './results-file.ts';
import { type UploadedFile, uploadDirectory } from './stored-directory.ts';

/** So many are told in the job's error; the proof has them all. */
const PROBLEMS_SHOWN = 5;

type Needs = Pick<Services, 'jobs' | 'jobRecord' | 'files' | 'reports' | 'objectStore'>;

export interface Delivery {
  services: Needs;
  job: Job;
  result: TrainResult;
  /** Where the files are read back into; replaced. */
  deliveredDir: string;
  /** Has the process that trained load the files in a directory. */
  load(dir: string): Promise<ProofFindings>;
}

/**
 * The end of a good run: the adapter (or model) into the object store, read back from there and proven, then the results file, each file a row of its
 * own, and the job succeeded. Everything before that may be repeated by another attempt.
 * @throws Refusal when the proof did not pass, JobLost; then nothing of it is left
 */
export async function deliver({ services, job, result, deliveredDir, load }: Delivery): Promise<void> {
  const { jobs, jobRecord, objectStore } = services;
  const { id, attempt } = job;
  const prefix = keys.adapter(id);
  try {
    const uploaded = await uploadDirectory(objectStore, result.outputDir, prefix);
    await rm(deliveredDir, { recursive: true, force: true });
    await mkdir(deliveredDir);
    const proof = await proveFiles({ objectStore, prefix, uploaded, dir: deliveredDir, load });
    await keepReport(services, job, 'proof', proof);
    if (!proof.passed) throw notProven(proof);
    const { measured_on: on, live, delivered } = proof.loss!;
    const message = `The delivered files were read back and proven: loss ${delivered.toFixed(4)} on the ${on.replace('_', ' ')}, ${live.toFixed(4)} before`;
    await jobRecord.appendEvent(id, { level: 'info', message });
    await succeed(services, job, { uploaded, trainedTokens: result.trainedTokens });
  } catch (error) {
    const now = await jobs.findAny(id);
    // A later attempt writes the very same files: only a job that is over, or will be, loses them.
    if (error instanceof Refusal || (now?.attempt === attempt && isFinal(now.status))) await objectStore.deletePrefix(prefix);
    throw error;
  } finally {
    await rm(deliveredDir, { recursive: true, force: true });
  }
}

function notProven({ problems }: AdapterProof): Refusal {
  const shown = problems.slice(0, PROBLEMS_SHOWN).join('; ');
  const more = problems.length > PROBLEMS_SHOWN ? ` and ${problems.length - PROBLEMS_SHOWN} problems more` : '';
  return new Refusal('proof_failed', `The delivered files are not what was trained, so they were not delivered: ${shown}${more}`, {
    hint: "GET the job's proof for all that was found.",
  });
}

async function succeed(services: Needs, job: Job, { uploaded, trainedTokens }: { uploaded: UploadedFile[]; trainedTokens: number }): Promise<void> {
  const { jobs, jobRecord, files, objectStore } = services;
  const { id, owner, attempt } = job;
  // An attempt that was killed between here and its success has left its rows.
  for (const left of (await jobs.findAny(id))?.resultFileIds ?? []) await files.delete(owner, left);
  const results = newFileId();
  const rows = uploaded.map((file) => ({ id: newFileId(), file }));
  const resultFileIds = [results, ...rows.map((row) => row.id)];
  if ((await jobs.heartbeat(id, attempt, { resultFileIds })) === null) throw new JobLost();
  await putResults(services, job, results);
  for (const row of rows) await addAdapterFile(services, owner, row);
  const fineTunedModel = fineTunedModelName(job);
  if ((await jobs.move(id, 'succeed', { attempt, patch: { fineTunedModel, trainedTokens } })) === null) {
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
