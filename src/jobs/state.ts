/** The single table of how a job's status may change. */

export const jobStatuses = ['validating_files', 'queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled'] as const;
export type JobStatus = (typeof jobStatuses)[number];

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
  /** A worker that has it writes a checkpoint after the current step and lets go of it. */
  pause: { from: ['validating_files', 'queued', 'running'], to: 'paused' },
  /** The next worker resumes from the newest checkpoint. */
  resume: { from: ['paused', 'failed'], to: 'queued' },
  /** The same for a job whose data was never read to its end. */
  revalidate: { from: ['paused', 'failed'], to: 'validating_files' },
  succeed: { from: ['running'], to: 'succeeded' },
  fail: { from: ['validating_files', 'queued', 'running'], to: 'failed' },
  cancel: { from: ['validating_files', 'queued', 'running', 'paused'], to: 'cancelled' },
} as const satisfies Record<string, Move>;

export type MoveName = keyof typeof moves;

/** Statuses in which a worker may have the job and write what it does: of a paused job, what is left of the current step and a checkpoint. */
export const heldStatuses = ['validating_files', 'queued', 'running', 'paused'] as const satisfies readonly JobStatus[];

/** A job in one of these has ended; only `resume` brings it back, and only one that failed. */
export const finalStatuses = ['succeeded', 'failed', 'cancelled'] as const satisfies readonly JobStatus[];

export const isFinal = (status: JobStatus): status is (typeof finalStatuses)[number] => (finalStatuses as readonly JobStatus[]).includes(status);
