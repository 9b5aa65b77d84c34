/** Takes a sweep as far as it can be taken now. Any number of processes may do it at once, and each may be killed at any moment. */
import { Refusal } from '../formats/refusal.ts';
import { statusOf } from '../http/statuses.ts';
import { createJob } from '../jobs/create.ts';
import type { CreateJob } from '../jobs/schema.ts';
import { isFinal } from '../jobs/state.ts';
import type { Services } from '../services.ts';
import { type BudgetState, budgetState } from './budget.ts';
import { comparison, outcomeOf } from './compare.ts';
import { rungsOf } from './search.ts';
import type { SweepJob } from './store.ts';
import { requestOf, type Sweep, type SweepRequest } from './sweep.ts';
import { trialBodyText } from './trial-body.ts';
import { TrialTaken } from './trial-store.ts';

/** Jobs that a sweep gets in one round, so that others have their turn. */
const MAX_CREATED = 100;
/** What a job is refused for now, and may not be later: no room, no worker, no hub. */
const isPassing = (refusal: Refusal): boolean => statusOf(refusal) === 429 || statusOf(refusal) >= 500;

export type AdvanceNeeds = Parameters<typeof createJob>[2] & Pick<Services, 'sweeps'>;

/** One round for all sweeps that have not ended. */
export async function advanceSweeps(services: AdvanceNeeds): Promise<void> {
  for (const sweep of await services.sweeps.unfinished())
    await advanceSweep(sweep, services).catch((error: unknown) => services.log.warn({ err: error, sweepId: sweep.id }, 'the sweep is tried again'));
}

export async function advanceSweep(sweep: Sweep, services: AdvanceNeeds): Promise<void> {
  const { sweeps } = services;
  if (sweep.status === 'cancelled') return cancelJobs(sweep, services);
  const request = requestOf(sweep);
  await createJobs(sweep, request, services);
  const now = await sweeps.reread(sweep);
  if (now?.status !== 'running') return;
  const jobs = await sweeps.jobsOf(now.id, request);
  const isCreated = now.created === now.trials.length;
  if (!jobs.every((job) => isFinal(job.status))) return isCreated ? compare(now, { jobs, request, services }) : undefined;
  const budget = isCreated ? null : await budgetOf(now, { jobs, request, services });
  if (!isCreated && budget?.is !== 'used') return;
  const outcome = outcomeOf(now, jobs, request, budget?.is === 'used' ? budget.detail : null);
  const status = outcome.winner === null ? 'failed' : 'succeeded';
  if (await sweeps.finish(now, status, outcome)) services.log.info({ sweepId: now.id, status, winner: outcome.winner?.jobId }, 'sweep ended');
}

interface Round {
  jobs: SweepJob[];
  request: SweepRequest;
  services: AdvanceNeeds;
}

/** @returns null: the sweep has no budget */
async function budgetOf({ id }: Sweep, { jobs, request: { budget }, services: { sweeps } }: Round): Promise<BudgetState | null> {
  if (budget == null) return null;
  return budgetState(budget, jobs, budget.tokens === undefined ? new Map() : await sweeps.tokensOf(id));
}

/** Creates the jobs that are next, until something holds one up. */
async function createJobs(sweep: Sweep, request: SweepRequest, services: AdvanceNeeds): Promise<void> {
  const { sweeps } = services;
  const pauseAtStep = rungsOf(request.search, sweep.trials.length)[0]?.step ?? null;
  let refused = sweep.refused;
  const end = Math.min(sweep.trials.length, sweep.created + MAX_CREATED);
  for (let index = sweep.created; index < end; index++) {
    if (request.budget != null && index > 0) {
      const budget = await budgetOf(sweep, { jobs: await sweeps.jobsOf(sweep.id, request), request, services });
      if (budget?.is === 'unknown') return sweeps.wait(sweep, 'The budget: it is known how long a job trains once its data has been read');
      if (budget?.is === 'used') return sweeps.wait(sweep, budget.detail);
    }
    const bodyText = trialBodyText(sweep, sweep.trials[index]!);
    const ofSweep = { sweepId: sweep.id, sweepIndex: index, pauseAtStep };
    try {
      const body = JSON.parse(bodyText) as CreateJob;
      const asked = { body, bodyText, claim: undefined, ofSweep, isSeeded: request.base.seed != null };
      await createJob({ organization: sweep.organization, project: sweep.owner }, asked, services);
    } catch (error) {
      if (error instanceof TrialTaken) return; // another process creates them
      if (!(error instanceof Refusal)) throw error;
      if (isPassing(error)) return sweeps.wait(sweep, error.text);
      const refusal = { code: error.code, message: error.text, param: error.param };
      if (!(await sweeps.refuse({ ...sweep, refused }, index, refusal))) return;
      refused = { ...refused, [index]: refusal };
    }
  }
}

/** Successive halving: once every job has reached the step, the best train on and the others are stopped. */
async function compare(sweep: Sweep, { jobs, request, services }: Round): Promise<void> {
  const compared = comparison(sweep, jobs, request);
  if (compared === null || !(await services.sweeps.decide(sweep, compared.decided, compared.verdicts))) return;
  services.log.info({ sweepId: sweep.id, ...compared.decided }, 'the jobs of a sweep were compared');
  const resumed = compared.verdicts.filter(({ resume }) => resume !== null).map(({ jobId }) => jobId);
  // The rows are what counts: if Redis is unavailable now, the reconciler wakes workers later.
  await services.queue.enqueue(...resumed).catch((error: unknown) => services.log.warn({ err: error }, 'resumed jobs could not be queued yet'));
}

/** The jobs of a sweep that has been cancelled; afterwards, there is nothing left to do for it. */
async function cancelJobs(sweep: Sweep, { sweeps, jobs }: AdvanceNeeds): Promise<void> {
  for (const { id, status } of await sweeps.jobsOf(sweep.id, requestOf(sweep)))
    if (!isFinal(status))
      await jobs.moveOwn(sweep.owner, id, 'cancel', { events: [{ level: 'info', message: 'The sweep has been cancelled, and the job with it' }] });
  await sweeps.finishCancelled(sweep);
}
