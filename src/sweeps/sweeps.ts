/** What a user does with an existing sweep. */
import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import { deleteJob } from '../jobs/delete.ts';
import type { Services } from '../services.ts';
import { type AdvanceNeeds, advanceSweep } from './advance.ts';
import type { SweepJob } from './store.ts';
import { requestOf, type Sweep } from './sweep.ts';

/** @throws Refusal sweep_not_found */
export async function findSweep({ project }: Principal, id: string, { sweeps }: Pick<Services, 'sweeps'>): Promise<Sweep> {
  const sweep = await sweeps.find(project, id);
  if (sweep !== null) return sweep;
  throw new Refusal('sweep_not_found', `There is no sweep "${id}"`, { param: 'sweep_id', hint: 'GET /v1/fine_tuning/sweeps lists them.' });
}

export const jobsOf = (sweep: Sweep, { sweeps }: Pick<Services, 'sweeps'>): Promise<SweepJob[]> => sweeps.jobsOf(sweep.id, requestOf(sweep));

/**
 * Creates no further job and cancels those that have not ended. One that has ended stays as it is, because clients repeat a request whose answer was lost.
 * @throws Refusal sweep_not_found
 */
export async function cancelSweep(principal: Principal, id: string, services: AdvanceNeeds): Promise<Sweep> {
  const { sweeps, log } = services;
  const sweep = await findSweep(principal, id, services);
  const cancelled = await sweeps.cancel(principal.project, id);
  if (cancelled !== null)
    // The row is what counts: what is not cancelled now, upkeep cancels.
    await advanceSweep(cancelled, services).catch((error: unknown) =>
      log.warn({ err: error, sweepId: id }, 'not all jobs of the sweep are cancelled yet'),
    );
  return (await sweeps.reread(sweep)) ?? sweep;
}

/**
 * Deletes a sweep with its jobs and all that they made. Its row goes last, so that a deletion that failed midway can be repeated.
 * @param keepWinner  leaves the winner's job, which then is a job like any other
 * @throws Refusal sweep_not_found
 */
export async function deleteSweep(
  principal: Principal,
  id: string,
  { keepWinner, services }: { keepWinner: boolean; services: AdvanceNeeds & Parameters<typeof deleteJob>[2] },
): Promise<void> {
  const sweep = await findSweep(principal, id, services);
  await services.sweeps.cancel(principal.project, id);
  for (const job of await jobsOf(sweep, services)) {
    if (keepWinner && job.id === sweep.outcome?.winner?.jobId) continue;
    await deleteJob(principal, job.id, services).catch((error: unknown) => {
      // Somebody else has deleted it.
      if (!(error instanceof Refusal && error.code === 'fine_tune_not_found')) throw error;
    });
  }
  await services.sweeps.delete(principal.project, id);
}
