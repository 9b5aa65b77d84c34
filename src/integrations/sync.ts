/** Shows jobs to tracking servers while they run. It reads what workers have stored, so a server that is away costs a job nothing. */
import type { Job, NewEvent } from '../jobs/job.ts';
import { isFinal } from '../jobs/state.ts';
import type { Services } from '../services.ts';
import { TrackerRefusal } from './answer.ts';
import type { IntegrationsConfig } from './config.ts';
import { mlflowTracker } from './mlflow-run.ts';
import type { IntegrationRun } from './run-store.ts';
import type { Integration, Tracker } from './tracker.ts';
import { wandbTracker } from './wandb-run.ts';

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

/** The servers that the service is set up with, by kind. */
function trackersOf({ mlflow, wandb, publicUrl }: IntegrationsConfig): ReadonlyMap<Integration['type'], Tracker> {
  const trackers = new Map<Integration['type'], Tracker>();
  if (mlflow !== null) trackers.set('mlflow', mlflowTracker(mlflow, { everyMs: SYNC_EVERY_MS, publicUrl }));
  if (wandb !== null) trackers.set('wandb', wandbTracker(wandb, { publicUrl }));
  return trackers;
}

/** Sends what is due, once. Any number of processes may do it at once: each takes what no other has. */
export async function syncIntegrations(services: Needs): Promise<void> {
  const { config, integrationRuns, log } = services;
  const trackers = trackersOf(config.integrations); // what waits for another server, waits until its setting is back
  if (trackers.size === 0) return;
  const sync = async (run: IntegrationRun) => {
    const tracker = trackers.get(run.type)!;
    const job = await services.jobs.findAny(run.jobId);
    if (job === null) return; // its runs went with it
    try {
      const isOver = await send(job, run, { ...services, tracker });
      await tell(job, run, null, { ...services, tracker });
      await integrationRuns.record(run, { awaySince: null, warnedAt: null, ...(isOver && { status: 'done' }) }, tracker.everyMs);
    } catch (error) {
      log.warn({ err: error, jobId: job.id }, `a job could not be shown to ${tracker.name}; it will be tried again`);
      await postpone(job, run, error as Error, { ...services, tracker });
    }
  };
  for (const result of await Promise.allSettled((await integrationRuns.claim([...trackers.keys()], MAX_RUNS)).map(sync)))
    if (result.status === 'rejected') log.error({ err: result.reason }, 'how a job was shown to a tracking server could not be recorded');
}

/** @returns whether everything has been sent of a job that has ended */
async function send(job: Job, run: IntegrationRun, services: Needs & { tracker: Tracker }): Promise<boolean> {
  const { tracker, curves, integrationRuns } = services;
  const integration = job.integrations?.[run.position];
  if (integration?.type !== run.type) throw new Error(`the job has no integration ${run.position} of this kind`);
  if (run.runId === null && !(await begin(job, run, { ...services, integration }))) return false;
  const runId = run.runId!;
  if (run.status === 'resumed') {
    await tracker.reopen(runId);
    if (!(await integrationRuns.record(run, { status: 'pending' }))) return false;
  }
  if (run.step === 0 && job.resolved !== null) await tracker.describe(runId, job);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const steps = await curves.steps(job.owner, job.id, { afterStep: run.step, every: 1, limit: STEPS_AT_ONCE });
    if (steps.length === 0) {
      if (isFinal(job.status)) await tracker.end(runId, job);
      else if (round === 0) await tracker.beat(runId);
      return isFinal(job.status);
    }
    const sent = await tracker.steps(runId, job, { steps, run });
    Object.assign(run, sent, { step: steps.at(-1)!.step });
    if (!(await integrationRuns.record(run, { step: run.step, ...sent }))) return false;
  }
  return false;
}

/** @returns false when a newer attempt has begun */
async function begin(
  job: Job,
  run: IntegrationRun,
  { tracker, integration, integrationRuns, jobRecord }: Needs & { tracker: Tracker; integration: Integration },
): Promise<boolean> {
  const { runId, url } = await tracker.begin(job, integration);
  run.runId = runId;
  if (!(await integrationRuns.record(run, { runId }))) return false;
  if (url !== null) await jobRecord.appendEvent(job.id, { level: 'info', message: `The job is shown by ${tracker.name}: ${url}`, data: { url } });
  return true;
}

async function postpone(job: Job, run: IntegrationRun, error: Error, services: Needs & { tracker: Tracker }): Promise<void> {
  const awaySince = run.awaySince ?? new Date();
  const awayMs = Date.now() - awaySince.getTime();
  const isTooLate = isFinal(job.status) && awayMs > GIVE_UP_AFTER_MS;
  const isToBeTold = isTooLate || (run.warnedAt === null && (error instanceof TrackerRefusal || awayMs >= WARN_AFTER_MS));
  if (isToBeTold) await tell(job, run, { error, isTooLate }, services);
  const pauseMs = Math.min(PAUSES_MS.most, Math.max(PAUSES_MS.least, awayMs / 4));
  const warned = isToBeTold ? { warnedAt: new Date() } : {};
  await services.integrationRuns.record(run, { awaySince, ...warned, ...(isTooLate && { status: 'given_up' }) }, pauseMs);
}

/** @param trouble null: the server takes everything again */
async function tell(
  job: Job,
  run: IntegrationRun,
  trouble: { error: Error; isTooLate: boolean } | null,
  { jobRecord, tracker: { name } }: Needs & { tracker: Tracker },
): Promise<void> {
  if (trouble === null && run.warnedAt === null) return;
  const event: NewEvent =
    trouble === null
      ? { level: 'info', message: `${name} accepts the job's data again` }
      : {
          level: 'warn',
          message: `${name} does not accept the job's data (${trouble.error.message}). ${
            trouble.isTooLate ? 'The service has stopped trying' : `The job itself continues; what is missing is sent as soon as ${name} accepts it`
          }`,
        };
  await jobRecord.appendEvent(job.id, event);
}
