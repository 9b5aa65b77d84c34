/** What a training process gets: the job's files in its folder, and its options. */
import { setTimeout as delay } from 'node:timers/promises';
import { datasetProblem } from '../../src/files/dataset-problem.ts';
import type { StoredFile } from '../../src/files/store.ts';
import { DEFAULT_MAX_EXAMPLES, DEFAULT_MAX_TOKENS } from '../../src/formats/evaluations.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Job } from '../../src/jobs/job.ts';
import { ObjectNotFound } from '../../src/object-store/object-store.ts';
import type { Services } from '../../src/services.ts';
import type { AnswerOptions, TrainOptions } from '../engine/contract.ts';
import { trainedOn } from './base-model.ts';
import { fetchObject, type JobFolder, machineFile } from './folder.ts';
import { StillRead } from './outage.ts';
import type { DatasetSizes } from './preparation.ts';
import { tokensDir } from './tokens.ts';

/**
 * Copies the job's datasets into its folder.
 * @throws Refusal for a file that is gone, or in which problems were found; StillRead for one that the service has not read yet
 */
export async function fetchDatasets(
  job: Job,
  folder: JobFolder,
  services: Pick<Services, 'files' | 'validations' | 'objectStore'>,
): Promise<DatasetSizes> {
  const { objectStore } = services;
  const datasets = [
    { param: 'training_file', id: job.trainingFileId, path: folder.trainingFile },
    { param: 'validation_file', id: job.validationFileId, path: folder.validationFile },
    { param: 'evaluation_file', id: job.evaluationFileId, path: folder.evaluationFile },
    { param: 'retention_file', id: job.retentionFileId, path: folder.retentionFile },
  ] as const;
  const sizes: DatasetSizes = {};
  for (const { param, id, path } of datasets) {
    if (id === null) continue;
    const file = await judgedFile(job.owner, id, services);
    const missing = () =>
      new Refusal('file_not_found', `The content of the file "${id}" no longer exists`, { param, hint: 'Upload it again and create a new job.' });
    if (file === null) throw missing();
    const problem = await datasetProblem(file, { param, objective: job.objective }, services);
    if (problem !== null) throw problem;
    if (param === 'training_file' || param === 'validation_file') sizes[param] = file.sizeBytes; // the others are not read before training, or not whole
    await fetchObject(objectStore, file.storageKey, path).catch((error) => {
      throw error instanceof ObjectNotFound ? missing() : error;
    });
  }
  return sizes;
}

/** A job is often created at once after its file, which is then read within a moment. */
const READ_PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 100;

async function judgedFile(owner: string, id: string, { files }: Pick<Services, 'files'>): Promise<StoredFile | null> {
  for (const startedMs = performance.now(); ; await delay(LOOK_EVERY_MS)) {
    const file = await files.findEvenDeleted(owner, id);
    if (file?.status !== 'uploaded') return file;
    if (performance.now() - startedMs > READ_PATIENCE_MS) throw new StillRead(id);
  }
}

function answerOptions(job: Job, folder: JobFolder): AnswerOptions {
  const { samplePrompts, evaluations, evaluationFileId, evaluationMaxExamples, maxCompletionTokens } = job;
  return {
    samplePrompts: samplePrompts ?? [],
    evaluations: evaluations ?? [],
    evaluationFile: evaluationFileId === null ? folder.validationFile : folder.evaluationFile,
    maxExamples: evaluationMaxExamples ?? DEFAULT_MAX_EXAMPLES,
    maxTokens: maxCompletionTokens ?? DEFAULT_MAX_TOKENS,
  };
}

/** @param parts.resumeFrom the directory of a checkpoint; null: the run begins from the start */
export function trainOptions(
  { job, folder, modelPath, resumeFrom }: { job: Job; folder: JobFolder; modelPath: string; resumeFrom: string | null },
  { config }: Pick<Services, 'config'>,
): Omit<TrainOptions, 'signal' | 'report'> & { checkpointsDir: string } {
  return {
    modelDir: modelPath,
    trainingFile: folder.trainingFile,
    ...(job.validationFileId !== null && { validationFile: folder.validationFile }),
    outputDir: folder.outputDir,
    checkpointsDir: folder.checkpointsDir,
    tokensDir: tokensDir(config.dataDir, job.id),
    ...(resumeFrom !== null && { resumeFrom }),
    ...(resumeFrom === null && job.startFrom?.adapter && { startFrom: folder.startDir }),
    ...((job.samplePrompts ?? job.evaluations) !== null && { answers: answerOptions(job, folder) }),
    ...(job.pauseAtStep !== null && { pauseAtStep: job.pauseAtStep }),
    tuning: job.tuning,
    objective: job.objective,
    // Keep the precision that an earlier attempt chose on its machine, so that the job matches its record.
    hyperparameters: { ...job.hyperparameters, ...(job.resolved && { precision: job.resolved.precision }) },
    seed: job.seed,
    ...(job.chatTemplate !== null && { chatTemplate: job.chatTemplate }),
    ...(job.chatTemplateKwargs !== null && { chatTemplateKwargs: job.chatTemplateKwargs }),
    machineFile: machineFile(config.dataDir),
    // The name, not this machine's path: the adapter's bytes depend on the job alone.
    ...trainedOn(job),
  };
}
