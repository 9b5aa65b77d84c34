import type { Integrations } from '../jobs/integrations.ts';
import type { Job, StepMetric } from '../jobs/job.ts';
import type { IntegrationRun } from './run-store.ts';

export type Integration = Integrations[number];

/** A server that shows runs, as far as jobs need it. Whatever is sent twice is there once. */
export interface Tracker {
  /** For messages. */
  name: string;
  /** Between two attempts, while the server takes what it gets. */
  everyMs: number;
  /**
   * Finds the job's run, or makes it, with what is known of the job before its first step.
   * @returns the server's id of it, and where people see it, if that is known
   */
  begin(job: Job, integration: Integration): Promise<{ runId: string; url: string | null }>;
  /** Says that a run, which may have ended, continues. */
  reopen(runId: string): Promise<void>;
  /** What the job has resolved; called until the first step has been sent. */
  describe(runId: string, job: Job): Promise<void>;
  /** @param run what was sent before. @returns what has been sent with these steps, for the next call */
  steps(runId: string, job: Job, sent: { steps: readonly StepMetric[]; run: IntegrationRun }): Promise<Pick<IntegrationRun, 'elapsedMs' | 'latest'>>;
  /** Tells a server that forgets silent runs that this one is alive. */
  beat(runId: string): Promise<void>;
  end(runId: string, job: Job): Promise<void>;
}

/** When the first step of a job began, in ms since 1970. */
export const beganMs = ({ startedAt, createdAt }: Job): number => (startedAt ?? createdAt).getTime();

/** Time after the steps before and one more, in ms since the job began. Counted so, a step that is sent twice is the same to the server. */
export const afterStep = (elapsedMs: number, metrics: StepMetric['metrics']): number => elapsedMs + 1000 * (metrics['seconds'] ?? 0);

/** What a job has resolved, under the names that users know. */
export const settingsOf = ({ model, seed, tuning, resolved, trainingFileId, validationFileId, totalSteps }: Job): Record<string, unknown> => ({
  ...{ model, seed, training_file: trainingFileId, validation_file: validationFileId, total_steps: totalSteps },
  ...resolved,
  tuning,
});
