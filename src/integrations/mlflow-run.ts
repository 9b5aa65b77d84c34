/** What a job is in MLflow: a run with parameters, a metric for each number of each step, tags, and links to what it made. */

import type { MlflowIntegration } from '../jobs/integrations.ts';
import type { Job, StepMetric } from '../jobs/job.ts';
import type { IntegrationsConfig } from './config.ts';
import { type MlflowMetric, openMlflow, type RunStatus } from './mlflow.ts';
import { afterStep, beganMs, settingsOf, type Tracker } from './tracker.ts';

/** By which a run is found again that was made just before this process died. */
const JOB_TAG = 'graft.job_id';

function startOf(job: Job, { run_name: name, tags = {} }: MlflowIntegration['mlflow']) {
  const own = { [JOB_TAG]: job.id, 'graft.model': job.model, 'mlflow.source.name': 'graft', 'mlflow.user': job.owner };
  return { name: name ?? job.suffix ?? job.id, startMs: beganMs(job), tags: { ...job.metadata, ...tags, ...own } };
}

/** With names as TOML has them: `tuning.r`. */
const paramsOf = (job: Job): Record<string, string> => Object.fromEntries(flat(settingsOf(job)));

function flat(value: object, prefix = ''): [string, string][] {
  return Object.entries(value).flatMap(([name, each]): [string, string][] => {
    if (each === null || each === undefined) return [];
    if (typeof each === 'object' && !Array.isArray(each)) return flat(each, `${prefix}${name}.`);
    return [[mlflowName(`${prefix}${name}`), typeof each === 'string' ? each : JSON.stringify(each)]];
  });
}

/** @param elapsedMs of the steps before these */
function metricsOf(job: Job, steps: readonly StepMetric[], elapsedMs: number): { metrics: MlflowMetric[]; elapsedMs: number } {
  let elapsed = elapsedMs;
  const metrics = steps.flatMap(({ step, metrics: numbers }) => {
    elapsed = afterStep(elapsed, numbers);
    const timestamp = Math.round(beganMs(job) + elapsed);
    return Object.entries(numbers).map(([name, value]) => ({ key: mlflowName(name), value, timestamp, step }));
  });
  return { metrics, elapsedMs: elapsed };
}

const STATUS: Partial<Record<Job['status'], RunStatus>> = { succeeded: 'FINISHED', failed: 'FAILED', cancelled: 'KILLED' };

/** @param publicUrl of the service */
function endOf(job: Job, publicUrl: string) {
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

/** MLflow takes letters, digits, `_`, `-`, `.`, spaces, `:` and `/`. */
const mlflowName = (name: string): string => name.replaceAll(/[^\w\-. :/]/g, '_').slice(0, 250);

/** @param everyMs between two attempts. @param publicUrl of the service */
export function mlflowTracker(
  server: NonNullable<IntegrationsConfig['mlflow']>,
  { everyMs, publicUrl }: { everyMs: number; publicUrl: string },
): Tracker {
  const mlflow = openMlflow(server);
  return {
    name: 'MLflow',
    everyMs,
    async begin(job, integration) {
      const { mlflow: asked } = integration as MlflowIntegration;
      const experimentId = await mlflow.experiment(asked.experiment_name);
      // An attempt may have died between making the run and recording it.
      const found = await mlflow.findRun(experimentId, { key: JOB_TAG, value: job.id });
      return { runId: found ?? (await mlflow.createRun(experimentId, startOf(job, asked))), url: null };
    },
    reopen: (runId) => mlflow.updateRun(runId, { status: 'RUNNING', endMs: null }),
    describe: (runId, job) => mlflow.log(runId, { params: paramsOf(job) }),
    async steps(runId, job, { steps, run }) {
      const { metrics, elapsedMs } = metricsOf(job, steps, run.elapsedMs);
      await mlflow.log(runId, { metrics });
      return { elapsedMs, latest: run.latest };
    },
    async beat() {},
    async end(runId, job) {
      const { tags, run } = endOf(job, publicUrl);
      await mlflow.log(runId, { tags });
      await mlflow.updateRun(runId, run);
    },
  };
}
