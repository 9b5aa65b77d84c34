import type { Principal } from '../accounts/principal.ts';
import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';
import { findJob } from './find.ts';

/** A worker that has the job is told at its next heartbeat, within seconds; until then it may store another checkpoint. */
const LATE_UPLOADS_MS = 60_000;

type Needs = Pick<Services, 'jobs' | 'retention' | 'objectStore' | 'log'>;

/**
 * Deletes a job in any state with all that it made: events, metrics, checkpoints, reports, its model and result files. Its datasets stay.
 * A worker that has the job learns of it at its next heartbeat and writes nothing more.
 * @throws Refusal when the job is unknown
 */
export async function deleteJob(principal: Principal, id: string, services: Needs): Promise<void> {
  const { retention, objectStore, log } = services;
  const { workerId } = await findJob(principal, id, services);
  await retention.deleteJob(principal.project, id);
  // From here on nothing refers to what is left, so whatever fails below is removed by the sweeps.
  const warn = (error: unknown) => log.warn({ err: error, jobId: id }, 'the files of a deleted job could not be removed yet');
  const removeFiles = () => objectStore.deletePrefix(keys.job(id)).catch(warn);
  await removeFiles();
  if (workerId !== null) setTimeout(removeFiles, LATE_UPLOADS_MS).unref();
}
