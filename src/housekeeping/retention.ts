import type { Expiry } from '../jobs/retention-store.ts';
import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';

/** Jobs whose expired things go in one round; the rest waits for the next one. */
const MAX_PER_ROUND = 1_000;

type Needs = Pick<Services, 'config' | 'retention' | 'objectStore' | 'log'>;

/**
 * Applies the operator's policy: says when uploaded files, checkpoints and jobs will be removed, and removes those that were announced. Expired files go
 * with the deleted ones.
 */
export async function sweepExpired({ config, retention, objectStore, log }: Needs): Promise<void> {
  const { filesDays, checkpointsDays, jobsDays } = config.retention;
  await announce(await retention.schedule('checkpoints', checkpointsDays), 'Its checkpoints', `KEEP_CHECKPOINTS_DAYS is ${checkpointsDays}`);
  await announce(await retention.schedule('jobs', jobsDays), 'The job, with all that it made,', `KEEP_JOBS_DAYS is ${jobsDays}`);
  const files = filesDays === null ? 0 : await retention.scheduleFiles(filesDays);
  if (files > 0) log.info({ files, keepFilesDays: filesDays }, 'uploaded files have a date on which they expire');

  /** The rows are gone, so the sweep of stored objects removes what stays now. */
  const removeStored = (prefix: string) =>
    objectStore.deletePrefix(prefix).catch((error: unknown) => log.warn({ err: error, prefix }, 'expired files could not be removed yet'));
  for (const jobId of await retention.jobsWithExpiredCheckpoints(MAX_PER_ROUND)) {
    const expired = await retention.removeExpiredCheckpoints(jobId);
    for (const { folder } of expired) await removeStored(folder);
    log.info({ jobId, steps: expired.map(({ step }) => step) }, 'removed expired checkpoints');
  }
  for (const jobId of await retention.removeExpiredJobs(MAX_PER_ROUND)) {
    await removeStored(keys.job(jobId));
    log.info({ jobId }, 'removed an expired job');
  }

  /** One event a job, however many checkpoints it has. */
  async function announce(dates: Expiry[], what: string, why: string): Promise<void> {
    const earliest = new Map(
      dates.toSorted((a, b) => b.expiresAt.getTime() - a.expiresAt.getTime()).map(({ jobId, expiresAt }) => [jobId, expiresAt]),
    );
    for (const [jobId, expiresAt] of earliest) {
      await retention.announce(jobId, `${what} will be removed on ${expiresAt.toISOString().slice(0, 10)}: ${why}`);
      log.info({ jobId, expiresAt }, `${what} will be removed: ${why}`);
    }
  }
}
