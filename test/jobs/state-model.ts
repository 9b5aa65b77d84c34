/** What the table of a job's states promises, as a pure function: the interleavings of actors on the real database must agree with it. */
import { countLoss, MAX_LOSSES } from '../../src/jobs/setback.ts';
import type { JobStatus } from '../../src/jobs/state.ts';

export const USER_ACTS = ['pause', 'resume', 'cancel', 'delete'] as const;
export const WORKER_ACTS = ['claim', 'read', 'start', 'succeed', 'fail', 'requeue', 'release', 'heartbeat', 'step', 'checkpoint'] as const;
/** `silence`: the worker's heartbeat grows too old. `takeBack`: the reconciler takes the job from its worker, which it counts as lost. */
export const RECONCILER_ACTS = ['silence', 'takeBack'] as const;

export type Act =
  | { by: 'user'; does: (typeof USER_ACTS)[number] }
  /** A worker acts with the last attempt that it was given, however old that is. The number is that of the step that it may record. */
  | { by: 'worker'; worker: string; attempt: number; number: number; does: (typeof WORKER_ACTS)[number] }
  | { by: 'reconciler'; attempt: number; does: (typeof RECONCILER_ACTS)[number] };

export interface JobModel {
  status: JobStatus;
  attempt: number;
  workerId: string | null;
  /** Whether the worker's heartbeat is too old. */
  silent: boolean;
  /** Whether the data was ever read. */
  read: boolean;
  steps: number;
  checkpoints: number;
  /** The newest checkpoint's step; 0 before the first. */
  newest: number;
  losses: number;
  lostAtStep: number | null;
}

const FREE = { workerId: null, silent: false };
const NO_LOSSES = { losses: 0, lostAtStep: null };

export const NEW_JOB: JobModel = {
  status: 'validating_files',
  attempt: 0,
  ...FREE,
  read: false,
  steps: 0,
  checkpoints: 0,
  newest: 0,
  ...NO_LOSSES,
};

/** @param job null once it is deleted  @returns the job after the act, and whether the act took effect */
export function step(job: JobModel | null, act: Act): { job: JobModel | null; won: boolean } {
  if (job === null) return { job, won: false };
  const { status, attempt, workerId } = job;
  const isOneOf = (...statuses: JobStatus[]): boolean => statuses.includes(status);
  const only = (allowed: boolean, change: Partial<JobModel>) => ({ job: allowed ? { ...job, ...change } : job, won: allowed });

  if (act.by === 'user') {
    switch (act.does) {
      case 'pause':
        return only(isOneOf('validating_files', 'queued', 'running'), { status: 'paused' });
      case 'resume':
        return only(isOneOf('paused', 'failed'), { status: job.read ? 'queued' : 'validating_files', ...NO_LOSSES });
      case 'cancel':
        return only(isOneOf('validating_files', 'queued', 'running', 'paused'), { status: 'cancelled', ...FREE, ...NO_LOSSES });
      case 'delete':
        return { job: null, won: true };
    }
  }
  const isHeld = act.attempt === attempt && workerId !== null && isOneOf('validating_files', 'queued', 'running', 'paused');
  /** Whatever is tried with the attempt that has the job counts as its heartbeat, even a move that the status does not allow. */
  const held = (allowed: boolean, change: Partial<JobModel>) => ({
    job: isHeld ? { ...job, silent: false, ...(allowed && change) } : job,
    won: isHeld && allowed,
  });
  switch (act.does) {
    case 'silence':
      return only(workerId !== null, { silent: true });
    case 'takeBack': {
      const counted = countLoss(job, job.newest);
      const next = counted.losses >= MAX_LOSSES ? 'failed' : status === 'running' ? 'queued' : status;
      return held(status !== 'paused', { status: next, ...FREE, ...counted });
    }
    case 'claim':
      return only(workerId === null && isOneOf('validating_files', 'queued'), { attempt: attempt + 1, workerId: act.worker, silent: false });
    case 'read':
      return held(status === 'validating_files', { status: 'queued', read: true });
    case 'start':
      return held(status === 'queued', { status: 'running' });
    case 'succeed':
      return held(status === 'running', { status: 'succeeded', ...FREE, ...NO_LOSSES });
    case 'fail':
      return held(status !== 'paused', { status: 'failed', ...FREE, ...NO_LOSSES });
    case 'requeue':
      return held(status === 'running', { status: 'queued', ...FREE });
    case 'release':
      return held(status !== 'running', FREE);
    case 'heartbeat':
      return held(true, {});
    case 'step':
      return held(true, { steps: job.steps + 1 });
    case 'checkpoint':
      return held(true, { checkpoints: job.checkpoints + 1, newest: Math.max(job.newest, act.number) });
  }
}
