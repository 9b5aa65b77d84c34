/** What the table of a job's states promises, as a pure function: the interleavings of actors on the real database must agree with it. */
import type { JobStatus } from '../../src/jobs/state.ts';

export const USER_ACTS = ['pause', 'resume', 'cancel', 'delete'] as const;
export const WORKER_ACTS = ['claim', 'read', 'start', 'succeed', 'fail', 'requeue', 'release', 'heartbeat', 'step', 'checkpoint'] as const;
/** `silence`: the worker's heartbeat grows too old. `takeBack`: the reconciler gives a running job to another worker. */
export const RECONCILER_ACTS = ['silence', 'takeBack'] as const;

export type Act =
  | { by: 'user'; does: (typeof USER_ACTS)[number] }
  /** A worker acts with the last attempt that it was given, however old that is. */
  | { by: 'worker'; worker: string; attempt: number; does: (typeof WORKER_ACTS)[number] }
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
}

export const NEW_JOB: JobModel = { status: 'validating_files', attempt: 0, workerId: null, silent: false, read: false, steps: 0, checkpoints: 0 };

/** @param before null once it is deleted  @returns the job after the act, and whether the act took effect */
export function step(before: JobModel | null, act: Act): { job: JobModel | null; won: boolean } {
  if (before === null) return { job: null, won: false };
  let job = before;
  const { status, attempt, workerId } = job;
  const isOneOf = (...statuses: JobStatus[]): boolean => statuses.includes(status);
  const only = (allowed: boolean, change: Partial<JobModel>) => ({ job: allowed ? { ...job, ...change } : job, won: allowed });
  const ended = { workerId: null, silent: false };

  if (act.by === 'user') {
    switch (act.does) {
      case 'pause':
        return only(isOneOf('validating_files', 'queued', 'running'), { status: 'paused' });
      case 'resume':
        return only(isOneOf('paused', 'failed'), { status: job.read ? 'queued' : 'validating_files' });
      case 'cancel':
        return only(isOneOf('validating_files', 'queued', 'running', 'paused'), { status: 'cancelled', ...ended });
      case 'delete':
        return { job: null, won: true };
    }
  }
  const isMine = act.attempt === attempt && workerId !== null;
  if (act.by === 'reconciler') {
    if (act.does === 'silence') return only(workerId !== null, { silent: true });
    return only(isMine && status === 'running', { status: 'queued', ...ended });
  }
  const holds = isMine && isOneOf('validating_files', 'queued', 'running', 'paused');
  // Whatever the worker that has the job writes is a heartbeat too, even a move that the status does not allow.
  if (holds && act.does !== 'claim') job = { ...job, silent: false };
  switch (act.does) {
    case 'claim': {
      const isFree = workerId === null || job.silent;
      return only(isFree && isOneOf('validating_files', 'queued'), { attempt: attempt + 1, workerId: act.worker, silent: false });
    }
    case 'read':
      return only(isMine && status === 'validating_files', { status: 'queued', read: true });
    case 'start':
      return only(isMine && status === 'queued', { status: 'running' });
    case 'succeed':
      return only(isMine && status === 'running', { status: 'succeeded', ...ended });
    case 'fail':
      return only(isMine && isOneOf('validating_files', 'queued', 'running'), { status: 'failed', ...ended });
    case 'requeue':
      return only(isMine && status === 'running', { status: 'queued', ...ended });
    case 'release':
      return only(isMine && isOneOf('validating_files', 'queued', 'paused'), ended);
    case 'heartbeat':
      return only(holds, {});
    case 'step':
      return only(holds, { steps: job.steps + 1 });
    case 'checkpoint':
      return only(holds, { checkpoints: job.checkpoints + 1 });
  }
}
