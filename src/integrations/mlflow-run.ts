/** What a job is in MLflow: a run with parameters, a metric for each number of each step, tags, and links to what it made. */

import type { MlflowIntegration } from '../jobs/integrations.ts';
import type { Job, StepMetric } from '../jobs/job.ts';
import type { MlflowMetric, RunStatus } from './mlflow.ts';

/** By which a run is found again that was made just before this process died. */
export const JOB_TAG = 'graft.job_id';

export function startOf(job: Job, { run_name: name, tags = {} }: MlflowIntegration['mlflow']) {
  const own = { [JOB_TAG]: job.id, 'graft.model': job.model, 'mlflow.source.name': 'graft', 'mlflow.user': job.owner };
  return { name: name ?? job.suffix ?? job.id, startMs: beganMs(job), tags: { ...job.metadata, ...tags, ...own } };
}

/** With names as TOML has them: `tuning.r`. */
export function paramsOf({ model, seed, tuning, resolved, trainingFileId, validationFileId, totalSteps }: Job): Record<string, string> {
  const all = { model, seed, training_file: trainingFileId, validation_file: validationFileId, total_steps: totalSteps, ...resolved, tuning };
  return Object.fromEntries(flat(all));
}

function flat(value: object, prefix = ''): [string, string][] {
  return Object.entries(value).flatMap(([name, each]): [string, string][] => {
    if (each === null || each === undefined) return [];
    if (typeof each === 'object' && !Array.isArray(each)) return flat(each, `${prefix}${name}.`);
    return [[mlflowName(`${prefix}${name}`), typeof each === 'string' ? each : JSON.stringify(each)]];
  });
}

/**
 * A step's time is that of the job's start and of the steps before it, whenever it is sent: sent twice, it is the same value to the server.
 * @param elapsedMs of the steps before these
 */
export function metricsOf(job: Job, steps: readonly StepMetric[], elapsedMs: number): { metrics: MlflowMetric[]; elapsedMs: number } {
  let elapsed = elapsedMs;
  const metrics = steps.flatMap(({ step, metrics: numbers }) => {
    elapsed += 1000 * (numbers['seconds'] ?? 0);
    const timestamp = Math.round(beganMs(job) + elapsed);
    return Object.entries(numbers).map(([name, value]) => ({ key: mlflowName(name), value, timestamp, step }));
  });
  return { metrics, elapsedMs: elapsed };
}

const STATUS: Partial<Record<Job['status'], RunStatus>> = { succeeded: 'FINISHED', failed: 'FAILED', cancelled: 'KILLED' };

/** @param publicUrl of the service */
export function endOf(job: Job, publicUrl: string) {
  const url = `${publicUrl}/v1/fine_tuning/jobs/${job.id}`;
  const made = job.fineTunedModel === null ? '' : `\n\nIt made [${job.fineTunedModel}](${url}/adapter).`;
  const error = job.error === null ? '' : `\n\nIt failed: ${job.error.message}`;
  return {
    tags: {
      'mlflow.note.content': `[${job.id}](${url}) of Graft.${made}${error}`,
      ...(job.fineTunedModel !== null && { 'graft.fine_tuned_model': job.fineTunedModel, 'graft.adapter_url': `${url}/adapter` }),
    },
    run: { status: STATUS[job.status] ?? 'RUNNING', endMs: job.finishedAt?.getTime() ?? null } as const,
  };
}

const beganMs = ({ startedAt, createdAt }: Job): number => (startedAt ?? createdAt).getTime();

/** MLflow takes letters, digits, `_`, `-`, `.`, spaces, `:` and `/`. */
const mlflowName = (name: string): string => name.replaceAll(/[^\w\-. :/]/g, '_').slice(0, 250);
