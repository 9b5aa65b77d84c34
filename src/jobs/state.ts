/** The single table of how a job's status may change. */

export type JobStatus = 'validating_files' | 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';

interface Move {
  from: readonly JobStatus[];
  to: JobStatus;
}

export const moves = {
  /** The data has been read and is valid. */
  read: { from: ['validating_files'], to: 'queued' },
  /** The first training step is next. */
  start: { from: ['queued'], to: 'running' },
  /** Its worker died, or is stopping: the next one resumes from the newest checkpoint. */
  requeue: { from: ['running'], to: 'queued' },
  succeed: { from: ['running'], to: 'succeeded' },
  fail: { from: ['validating_files', 'queued', 'running'], to: 'failed' },
  cancel: { from: ['validating_files', 'queued', 'running', 'paused'], to: 'cancelled' },
} as const satisfies Record<string, Move>;

export type MoveName = keyof typeof moves;

/** A job in one of these has ended. */
export const finalStatuses = ['succeeded', 'failed', 'cancelled'] as const satisfies readonly JobStatus[];

export const isFinal = (status: JobStatus): boolean => (finalStatuses as readonly JobStatus[]).includes(status);
