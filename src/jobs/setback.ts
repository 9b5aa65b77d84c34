/** What holds a job up without being its fault, and when that is too often. Pure. */
import type { Checkpoint, Job } from './job.ts';

/** After this many losses in a row without a newer checkpoint the job fails: it is probably the cause. */
export const MAX_LOSSES = 10;

/** Why no worker takes a job: none is running, or none of those has its base model. */
export type Lack = 'worker' | 'base_model';

/** What a job can wait for. */
export const needs = ['object_store', 'database', 'disk', 'model_hub', 'dataset', 'worker', 'base_model', 'quota'] as const;
export type Need = (typeof needs)[number];

/** Something that the job needs is away. */
export interface Outage {
  need: Need;
  /** What was answered, in a few words and without paths or addresses: `read-only (EROFS)`. */
  detail: string;
}

/** A job that waits is tried again after as long as it has waited so far, within these limits: soon after a short outage, not too often in a long one. */
const MIN_PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 60_000;

export const pauseMs = (waitedMs: number): number => Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, waitedMs));

/** @param newest the newest checkpoint's step when the job was lost; 0 if it has none */
export function countLoss({ losses, lostAtStep }: Pick<Job, 'losses' | 'lostAtStep'>, newest: number): { losses: number; lostAtStep: number } {
  const hasProgressed = lostAtStep === null || newest > lostAtStep;
  return { losses: hasProgressed ? 1 : losses + 1, lostAtStep: newest };
}

/** How events say where the job resumes. */
export const startingFrom = (newest: Pick<Checkpoint, 'step'> | null): string =>
  newest === null ? 'from the beginning' : `from the checkpoint at step ${newest.step}`;

export const tooOftenMessage = (what: string, losses: number): string =>
  `${what}, ${losses} times in a row without a newer checkpoint; the last checkpoint is kept. The job's events and the worker's log say what happened`;

const AWAY: Readonly<Record<Need, string>> = {
  object_store: 'The object store cannot be used',
  database: 'The database could not be reached',
  disk: "The worker's disk is full",
  model_hub: 'The model hub cannot be reached',
  dataset: 'A file is still being read',
  worker: 'No worker is running',
  base_model: 'No running worker has the base model',
  quota: 'The project may not begin another job now',
};
const BACK: Readonly<Record<Need, string>> = {
  object_store: 'The object store can be used again',
  database: 'The database can be reached again',
  disk: "The worker's disk has room again",
  model_hub: 'The model hub can be reached again',
  dataset: 'The file has been read',
  worker: 'A worker is running again',
  base_model: 'A worker has the base model again',
  quota: 'The project may begin jobs again',
};

export const waitingMessage = ({ need, detail }: Outage): string =>
  `${AWAY[need]}: ${detail}. The job waits and resumes by itself: it is tried again within seconds, and at least once a minute`;

export const backMessage = (need: Need, waitedMs: number): string => `${BACK[need]}, after ${Math.round(waitedMs / 1000)} s: the job resumes`;
