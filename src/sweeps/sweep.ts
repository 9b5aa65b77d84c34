import type { CreateSweep } from './schema.ts';

export const sweepStatuses = ['running', 'succeeded', 'failed', 'cancelled'] as const;
export type SweepStatus = (typeof sweepStatuses)[number];

/** What one job changes in the base: values by the paths of their fields. */
export type Trial = Readonly<Record<string, unknown>>;

/** Why a trial was refused a job, as the refusal of a request says it. */
export interface TrialRefusal {
  code: string;
  message: string;
  param: string | null;
}

/** What a comparison of successive halving decided. */
export interface Rung {
  /** The step at which the jobs were compared. */
  step: number;
  /** The trials that were resumed, the best first. */
  kept: number[];
  /** Those that were stopped, the best first; the value is null for a job that did not reach the step. */
  stopped: { index: number; value: number | null }[];
}

export interface Outcome {
  winner: { index: number; jobId: string; value: number } | null;
  /** In a sentence. */
  reason: string;
}

/** Jobs that differ in some of their fields, and are compared. */
export interface Sweep {
  id: string;
  /** The project that the sweep and its jobs belong to. */
  owner: string;
  organization: string;
  status: SweepStatus;
  /** The body as it was sent. */
  request: string;
  seed: number;
  trials: Trial[];
  /** How many of the trials have had their job, or were refused one. */
  created: number;
  /** By index. */
  refused: Record<string, TrialRefusal>;
  /** Of successive halving: how often the jobs have been compared. */
  rung: number;
  rungs: Rung[];
  /** Why the next job has not been created yet; null if nothing holds it up. */
  waitingFor: string | null;
  /** null until it has ended. */
  outcome: Outcome | null;
  createdAt: Date;
  /** Of a cancelled one: when the last of its jobs was cancelled. */
  finishedAt: Date | null;
}

export type NewSweep = Pick<Sweep, 'id' | 'organization' | 'request' | 'seed' | 'trials'>;

/** The request of a sweep, with its defaults. */
export interface SweepRequest extends CreateSweep {
  metric: string;
  mode: 'min' | 'max';
}

export const DEFAULT_METRIC = 'full_valid_loss';

/** A loss is the better the lower it is; accuracies and scores of graders the higher. */
export function sweepRequest(body: CreateSweep): SweepRequest {
  const metric = body.metric ?? DEFAULT_METRIC;
  return { ...body, metric, mode: body.mode ?? (metric.endsWith('loss') ? 'min' : 'max') };
}

export const requestOf = ({ request }: Pick<Sweep, 'request'>): SweepRequest => sweepRequest(JSON.parse(request) as CreateSweep);
