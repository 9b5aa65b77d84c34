/** Which checkpoint a run resumes from: the newest whose files are what was written. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HashedFile } from '../../src/formats/hashed-file.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Checkpoint, Job } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import { JobLost } from './endings.ts';
import type { JobFolder } from './folder.ts';
import { DELIVERABLE } from './lineage.ts';
import { checkFiles, DamagedFile, downloadDirectory, downloadFiles } from './stored-directory.ts';

/** A checkpoint's state on this machine. */
export interface LoadedCheckpoint {
  checkpoint: Checkpoint;
  dir: string;
  /** What was read, with the hashes that it was compared with; empty for a checkpoint of an older version, which has none. */
  files: HashedFile[];
}

interface Needs {
  services: Pick<Services, 'jobRecord' | 'objectStore'>;
  job: Job;
  folder: JobFolder;
}

/**
 * Downloads the newest good checkpoint. Damaged ones on the way to it are set aside, each with an event.
 * @returns null without a good one: the run begins again
 * @throws JobLost; errors of the database and the object store
 */
export async function fetchNewestCheckpoint(needs: Needs): Promise<LoadedCheckpoint | null> {
  const { services, job } = needs;
  for (;;) {
    const checkpoint = await services.jobRecord.newestCheckpoint(job.id);
    if (checkpoint === null) return null;
    try {
      return await fetchState(checkpoint, needs);
    } catch (error) {
      if (!(error instanceof DamagedFile)) throw error;
      await setAside(checkpoint, error.message, needs);
    }
  }
}

/** Whether the training process refused its checkpoint: an older one, or the beginning, is left to start from. */
export const isUnusable = (error: unknown): error is Refusal =>
  error instanceof Refusal && ['corrupt_checkpoint', 'checkpoint_mismatch'].includes(error.code);

/** @param refusal what the training process says of the checkpoint */
export function setAsideLoaded({ checkpoint, dir }: LoadedCheckpoint, refusal: Refusal, needs: Needs): Promise<void> {
  return setAside(checkpoint, refusal.message.replaceAll(join(dir, '/'), ''), needs);
}

/** Marks a checkpoint that cannot be resumed from, so that no attempt tries it again, and says where the job resumes instead. */
async function setAside(checkpoint: Checkpoint, problem: string, { services: { jobRecord }, job }: Needs): Promise<void> {
  const { step, name } = checkpoint;
  const next = await jobRecord.newestCheckpoint(job.id, { before: step });
  const instead = next === null ? 'starts from the beginning' : `resumes from the checkpoint at step ${next.step}`;
  const message = `The checkpoint at step ${step} (${name}) cannot be used: ${problem}. The job ${instead}`;
  const data = { checkpoint: name, step, problem, resumes_from: next?.step ?? 0 };
  if (!(await jobRecord.rejectCheckpoint(job, { step, problem, event: { level: 'warn', message, data } }))) throw new JobLost();
}

/** Only the state is kept: the deliverable beside it is made from it again, but users download it, so a damaged one is not left as it is. */
async function fetchState(checkpoint: Checkpoint, { services: { objectStore }, folder }: Needs): Promise<LoadedCheckpoint> {
  const { folder: prefix } = checkpoint;
  const dir = folder.checkpoint(checkpoint.step);
  await rm(dir, { recursive: true, force: true });
  if (checkpoint.files === null) {
    if ((await downloadDirectory(objectStore, prefix, dir)) === 0) throw new DamagedFile('it is no longer in storage');
    return { checkpoint, dir, files: [] };
  }
  const isDelivered = ({ name }: HashedFile): boolean => name.startsWith(`${DELIVERABLE}/`);
  const files = checkpoint.files.filter((file) => !isDelivered(file));
  await downloadFiles(objectStore, { prefix, files, dir });
  await checkFiles(objectStore, { prefix, files: checkpoint.files.filter(isDelivered) });
  return { checkpoint, dir, files };
}
