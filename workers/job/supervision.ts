/** What a worker gives to whatever supervises one of its jobs. */
import type { Logger } from 'pino';
import type { HashedFile } from '../../src/formats/hashed-file.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import type { ReadyDirectory } from '../base-models/ready-directory.ts';
import type { Place } from '../placement/places.ts';
import type { Beside } from './beside.ts';

export interface Supervision {
  services: Pick<
    Services,
    'config' | 'jobs' | 'jobRecord' | 'setbacks' | 'files' | 'validations' | 'reports' | 'samples' | 'retention' | 'objectStore' | 'hub' | 'tracing'
  >;
  workerId: string;
  /** Holds this worker's job folders. */
  workDir: string;
  /** @returns the directory of the job's base model on this machine, or null if it has to be downloaded or is not to be had */
  modelDir(job: Pick<Job, 'model' | 'modelRevision'>): string | null;
  readyDir: ReadyDirectory;
  /** @returns the files of the base model in a directory */
  baseModelFiles(modelDir: string): Promise<HashedFile[]>;
  /** Waits for the slots that a job asks for. @returns null if this worker has too few, or is stopping */
  takePlace(job: Job): Promise<Place | null>;
  /** Which jobs train beside each other; without it, each trains alone. */
  beside?: Beside;
  /** Aborted when the worker stops: jobs go back to the queue. */
  stopping: AbortSignal;
  /** For how long a job keeps its slot while what it made cannot be stored; default: a minute. */
  patienceMs?: number;
  log: Logger;
}
