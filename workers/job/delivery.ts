import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { untilAnswered } from '../../src/database/until-answered.ts';
import type { NewFile } from '../../src/files/store.ts';
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

type Needs = Pick<Services, 'jobs' | 'jobRecord' | 'reports' | 'objectStore'>;

export interface Delivery {
  services: Needs;
  job: Job;
  result: TrainResult;
  /** The directory that the files are read back into; its content is replaced. */
  deliveredDir: string;
  /** Loads the files of a directory in the process that trained. */
  load(dir: string): Promise<ProofFindings>;
  /** Measures what training changed, if the job asks for it. */
  analyse(dir: string): Promise<void>;
}

/**
 * Finishes a successful run: uploads the adapter (or model), reads it back from the object store and proves it, adds the results file, and records the
 * success. Whatever interrupts it, another attempt delivers anew.
 * @throws Refusal when the proof fails, JobLost; the uploaded files are then removed. After any other error the success may have been recorded, so
 *   nothing is removed: files that no row names are swept.
 */
export async function deliver({ services, job, result, deliveredDir, load, analyse }: Delivery): Promise<void> {
  const { objectStore } = services;
  const folder = keys.newDelivery(job.id, job.attempt);
  const resultsId = newFileId();
  try {
    const uploaded = await uploadDirectory(objectStore, result.outputDir, folder);
    await rm(deliveredDir, { recursive: true, force: true });
    await mkdir(deliveredDir);
    const resumes = (await untilAnswered(() => services.reports.find(job.owner, job.id, 'resumes')))?.data ?? [];
    const proof = await proveFiles({ objectStore, prefix: folder, uploaded, dir: deliveredDir, resumes, load });
    await saveReport(services, job, 'proof', proof);
    if (!proof.passed) throw proofFailed(proof);
    await analyse(deliveredDir);
    const results = await putResults(services, job, resultsId);
    await succeed(services, job, { folder, files: [results, ...uploaded.map(adapterFile)], proof, result });
  } catch (error) {
    if (error instanceof Refusal || error instanceof JobLost) {
      await objectStore.deletePrefix(folder);
      await objectStore.delete(keys.file(resultsId));
    }
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

interface Proven {
  folder: string;
  files: NewFile[];
  proof: AdapterProof;
  result: TrainResult;
}

async function succeed({ jobs }: Needs, job: Job, { folder, files, proof, result }: Proven): Promise<void> {
  const { measured_on: on, live, delivered } = proof.loss!;
  const { trainedTokens, steps, last } = result;
  const early = steps < last.totalSteps ? { totalSteps: steps } : {};
  const fineTunedModel = fineTunedModelName(job);
  const messages = [
    `The delivered files were read back and proven: loss ${delivered.toFixed(4)} on the ${on.replace('_', ' ')}, ${live.toFixed(4)} before`,
    ...bestIsDelivered(result),
    `New fine-tuned model created: ${fineTunedModel}`,
    'The job has successfully completed',
  ];
  const events = messages.map((message) => ({ level: 'info', message }) as const);
  if ((await jobs.succeed(job, { fineTunedModel, adapterFolder: folder, trainedTokens, ...early, files, events })) === null) throw new JobLost();
}

const bestIsDelivered = ({ delivered, last }: TrainResult): string[] =>
  delivered.step === last.step ? [] : [`The delivered model is that of step ${delivered.step}, the best of ${last.step} (load_best_model_at_end)`];

async function putResults({ jobRecord, objectStore }: Needs, job: Job, id: string): Promise<NewFile> {
  const csv = resultsFile(await untilAnswered(() => jobRecord.metrics(job.id)));
  const storageKey = keys.file(id);
  const { sizeBytes } = await objectStore.put(storageKey, csv);
  const sha256 = createHash('sha256').update(csv).digest('hex');
  return { id, filename: 'step_metrics.csv', purpose: 'fine-tune-results', sizeBytes, sha256, storageKey };
}

const adapterFile = ({ name, key, sizeBytes, sha256 }: UploadedFile): NewFile => ({
  id: newFileId(),
  filename: name,
  purpose: 'fine-tune-results',
  sizeBytes,
  sha256,
  storageKey: key,
});
