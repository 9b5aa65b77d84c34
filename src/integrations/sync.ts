/** Shows jobs to tracking servers while they run. It reads what workers have stored, so a server that is away costs a job nothing. */
import type { Job, NewEvent } from '../jobs/job.ts';
import { isFinal } from '../jobs/state.ts';
import type { Services } from '../services.ts';
import { type Mlflow, MlflowRefusal, openMlflow } from './mlflow.ts';
import { endOf, JOB_TAG, metricsOf, paramsOf, startOf } from './mlflow-run.ts';
import type { IntegrationRun } from './run-store.ts';

/** How soon a step is shown. The question costs one look into an index. */
export const SYNC_EVERY_MS = 5_000;
/** Runs at a time, of this process. */
const MAX_RUNS = 8;
/** Steps in one request; each has some fifteen numbers. */
const STEPS_AT_ONCE = 60;
/** Requests in one attempt: a long job that is sent late takes several attempts, with others between them. */
const MAX_ROUNDS = 20;
/** A server that is away is asked again after a quarter of the time that it has been away, within these. */
const PAUSES_MS = { least: SYNC_EVERY_MS, most: 300_000 };
/** From then on the job's owner is told. */
const WARN_AFTER_MS = 600_000;
/** Nobody waits for a server any more that has been away for as long after the job's end. */
const GIVE_UP_AFTER_MS = 72 * 3_600_000;

type Needs = Pick<Services, 'config' | 'jobs' | 'jobRecord' | 'curves' | 'integrationRuns' | 'log'>;

/** Sends what is due, once. Any number of processes may do it at once: each takes what no other has. */
export async function syncIntegrations(services: Needs): Promise<void> {
  const { config, integrationRuns, log } = services;
  if (config.integrations.mlflow === null) return; // what waits, waits until the setting is back
  const mlflow = openMlflow(config.integrations.mlflow);
  const sync = async (run: IntegrationRun) => {
    const job = await services.jobs.findAny(run.jobId);
    if (job === null) return; // its runs went with it
    try {
      const isOver = await send(job, run, { ...services, mlflow });
      await tell(job, run, null, services);
      await integrationRuns.record(run, { awaySince: null, warnedAt: null, ...(isOver && { status: 'done' }) }, SYNC_EVERY_MS);
    } catch (error) {
      log.warn({ err: error, jobId: job.id }, 'a job could not be shown to MLflow; it will be tried again');
      await postpone(job, run, error as Error, services);
    }
  };
  for (const result of await Promise.allSettled((await integrationRuns.claim(MAX_RUNS)).map(sync)))
    if (result.status === 'rejected') log.error({ err: result.reason }, 'how a job was shown to MLflow could not be recorded');
}

/** @returns whether everything has been sent of a job that has ended */
async function send(job: Job, run: IntegrationRun, { mlflow, config, curves, integrationRuns }: Needs & { mlflow: Mlflow }): Promise<boolean> {
  const integration = job.integrations?.[run.position];
  if (integration?.type !== 'mlflow') throw new Error(`the job has no integration ${run.position} of this kind`);
  run.runId ??= await makeRun(job, startOf(job, integration.mlflow), { mlflow, experiment: integration.mlflow.experiment_name });
  if (run.step === 0 && job.resolved !== null) await mlflow.log(run.runId, { params: paramsOf(job) });
  if (!(await integrationRuns.record(run, { runId: run.runId }))) return false;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const steps = await curves.steps(job.owner, job.id, { afterStep: run.step, every: 1, limit: STEPS_AT_ONCE });
    if (steps.length === 0) {
      if (!isFinal(job.status)) return false;
      const { tags, run: ended } = endOf(job, config.integrations.publicUrl);
      await mlflow.log(run.runId, { tags });
      await mlflow.endRun(run.runId, ended);
      return true;
    }
    const { metrics, elapsedMs } = metricsOf(job, steps, run.elapsedMs);
    await mlflow.log(run.runId, { metrics });
    Object.assign(run, { step: steps.at(-1)!.step, elapsedMs });
    if (!(await integrationRuns.record(run, { step: run.step, elapsedMs }))) return false;
  }
  return false;
}

async function makeRun(job: Job, start: ReturnType<typeof startOf>, { mlflow, experiment }: { mlflow: Mlflow; experiment: string }): Promise<string> {
  const experimentId = await mlflow.experiment(experiment);
  // An attempt may have died between making the run and recording it.
  return (await mlflow.findRun(experimentId, { key: JOB_TAG, value: job.id })) ?? mlflow.createRun(experimentId, start);
}

async function postpone(job: Job, run: IntegrationRun, error: Error, services: Needs): Promise<void> {
  const awaySince = run.awaySince ?? new Date();
  const awayMs = Date.now() - awaySince.getTime();
  const isTooLate = isFinal(job.status) && awayMs > GIVE_UP_AFTER_MS;
  const isToBeTold = isTooLate || (run.warnedAt === null && (error instanceof MlflowRefusal || awayMs >= WARN_AFTER_MS));
  if (isToBeTold) await tell(job, run, { error, isTooLate }, services);
  const pauseMs = Math.min(PAUSES_MS.most, Math.max(PAUSES_MS.least, awayMs / 4));
  const warned = isToBeTold ? { warnedAt: new Date() } : {};
  await services.integrationRuns.record(run, { awaySince, ...warned, ...(isTooLate && { status: 'given_up' }) }, pauseMs);
}

/** @param trouble null: the server takes everything again */
async function tell(job: Job, run: IntegrationRun, trouble: { error: Error; isTooLate: boolean } | null, { jobRecord }: Needs): Promise<void> {
  if (trouble === null && run.warnedAt === null) return;
  const event: NewEvent =
    trouble === null
      ? { level: 'info', message: "MLflow accepts the job's data again" }
      : {
          level: 'warn',
          message: `MLflow does not accept the job's data (${trouble.error.message}). ${
            trouble.isTooLate ? 'The service has stopped trying' : 'The job itself continues; what is missing is sent as soon as MLflow accepts it'
          }`,
        };
  await jobRecord.appendEvent(job.id, event);
}
