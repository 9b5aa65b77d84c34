/** What is known of a job that is followed, gathered from the job itself and its events. */
import type { Job, JobEvent } from '../types.ts';

type Point = [step: number, value: number];

export interface Run {
  job: Job | null;
  step: number;
  totalSteps: number | null;
  trainLoss: Point[];
  validLoss: Point[];
  /** The service is away. */
  isAway: boolean;
}

export const newRun = (): Run => ({ job: null, step: 0, totalSteps: null, trainLoss: [], validLoss: [], isAway: false });

export function takeJob(run: Run, job: Job): void {
  run.job = job;
  run.step = Math.max(run.step, job.step ?? 0);
  run.totalSteps = job.total_steps ?? run.totalSteps;
}

/** A job that was resumed does steps again: the later value counts. */
export function takeMetrics(run: Run, { data }: JobEvent): void {
  const step = data?.['step'];
  if (typeof step !== 'number') return;
  run.step = step;
  if (typeof data?.['total_steps'] === 'number') run.totalSteps = data['total_steps'];
  put(run.trainLoss, step, data?.['train_loss']);
  put(run.validLoss, step, data?.['full_valid_loss'] ?? data?.['valid_loss']);
}

function put(points: Point[], step: number, value: unknown): void {
  if (typeof value !== 'number') return;
  while (points.length > 0 && points.at(-1)![0] >= step) points.pop();
  points.push([step, value]);
}
