import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Job } from '../../src/jobs/job.ts';
import type { ObjectStore } from '../../src/object-store/object-store.ts';

/** The files that a training process reads and writes, besides the tokens (`tokens.ts`). Removed when the worker is done with the job. */
export interface JobFolder {
  trainingFile: string;
  validationFile: string;
  evaluationFile: string;
  retentionFile: string;
  /** A tuned model that the job trains on, and an adapter that it continues. */
  baseDir: string;
  startDir: string;
  outputDir: string;
  /** The delivered files, read back from the object store. */
  deliveredDir: string;
  checkpointsDir: string;
  checkpoint(step: number): string;
  removeCheckpoint(step: number): Promise<void>;
  remove(): Promise<void>;
}

/** This worker process's folder. Its name holds the process id, so that a later worker on this machine can check whether the owner is alive. */
export function workerFolder(dataDir: string): string {
  return join(dataDir, 'work', `${hostname()}-${process.pid}`);
}

/** Keeps what training processes measured about this machine for later ones. */
export function machineFile(dataDir: string): string {
  return join(dataDir, 'machine.json');
}

/** An empty folder of this attempt alone: the worker may still be removing that of an earlier one. */
export async function makeJobFolder(workDir: string, { id, attempt }: Pick<Job, 'id' | 'attempt'>): Promise<JobFolder> {
  const root = join(workDir, `${id}-${attempt}`);
  const folder = {
    trainingFile: join(root, 'training.jsonl'),
    validationFile: join(root, 'validation.jsonl'),
    evaluationFile: join(root, 'evaluation.jsonl'),
    retentionFile: join(root, 'retention.jsonl'),
    baseDir: join(root, 'base'),
    startDir: join(root, 'start'),
    outputDir: join(root, 'output'),
    deliveredDir: join(root, 'delivered'),
    checkpointsDir: join(root, 'checkpoints'),
  };
  await rm(root, { recursive: true, force: true });
  await mkdir(folder.checkpointsDir, { recursive: true });
  const checkpoint = (step: number) => join(folder.checkpointsDir, String(step));
  const removeCheckpoint = (step: number) => rm(checkpoint(step), { recursive: true, force: true });
  return { ...folder, checkpoint, removeCheckpoint, remove: () => rm(root, { recursive: true, force: true }) };
}

/** Removes the folders of workers on this machine that were killed. */
export async function removeAbandonedFolders(dataDir: string): Promise<void> {
  const work = join(dataDir, 'work');
  for (const name of await readdir(work).catch(() => [])) {
    const pid = name.startsWith(`${hostname()}-`) ? Number(name.slice(hostname().length + 1)) : Number.NaN;
    if (Number.isInteger(pid) && (pid === process.pid || !isAlive(pid))) await rm(join(work, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** @throws ObjectNotFound */
export async function fetchObject(objectStore: ObjectStore, key: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await pipeline(await objectStore.get(key), createWriteStream(path));
}
