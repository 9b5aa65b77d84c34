import type { Database, Transaction } from '../database/client.ts';
import { databaseTime, now } from '../database/time.ts';
import type { Prisma } from '../generated/prisma/client.ts';
import type { Integration } from './tracker.ts';

/** An attempt whose process died is made again after this: longer than an attempt takes (see MAX_ROUNDS in sync.ts). */
const LEASE_SECONDS = 600;

/** A job's run at a tracking server. */
export interface IntegrationRun {
  jobId: string;
  position: number;
  type: Integration['type'];
  /** `resumed`: its job has been, and the server is told so before anything else. */
  status: 'pending' | 'resumed';
  runId: string | null;
  step: number;
  elapsedMs: number;
  /** The newest value of each number that has been sent, for servers that keep no such list themselves. */
  latest: Record<string, number> | null;
  attempt: number;
  awaySince: Date | null;
  warnedAt: Date | null;
}

/** Lets the runs of a job that has been resumed continue, whatever became of them. An attempt that saw the job as it was records nothing any more. */
export async function resumeRuns(tx: Transaction, jobId: string): Promise<void> {
  await tx.$executeRaw`
    UPDATE integration_runs SET status = 'resumed', attempt = attempt + 1, away_since = NULL, next_attempt_at = ${now} WHERE job_id = ${jobId}`;
}

/** What an attempt may record. */
export type RunPatch = Partial<Pick<IntegrationRun, 'runId' | 'step' | 'elapsedMs' | 'latest' | 'awaySince' | 'warnedAt'>> & {
  status?: 'pending' | 'done' | 'given_up';
};

export type IntegrationRunStore = ReturnType<typeof openIntegrationRunStore>;

export function openIntegrationRunStore(db: Database) {
  return {
    /** Takes runs of these kinds that are due, of jobs that have begun or ended, so that no other process sends to them while an attempt lasts. */
    async claim(types: readonly Integration['type'][], limit: number): Promise<IntegrationRun[]> {
      return db.$queryRaw<IntegrationRun[]>`
        UPDATE integration_runs SET attempt = attempt + 1, next_attempt_at = ${now} + make_interval(secs => ${LEASE_SECONDS})
        WHERE (job_id, position) IN (
          SELECT runs.job_id, runs.position FROM integration_runs AS runs JOIN jobs ON jobs.id = runs.job_id
          WHERE runs.status IN ('pending', 'resumed') AND runs.type = ANY(${[...types]}) AND runs.next_attempt_at <= ${now} AND (jobs.started_at IS NOT NULL OR jobs.finished_at IS NOT NULL)
          ORDER BY runs.next_attempt_at LIMIT ${limit} FOR UPDATE OF runs SKIP LOCKED
        ) RETURNING job_id AS "jobId", position, type, status, run_id AS "runId", step, elapsed_ms AS "elapsedMs", latest, attempt,
          away_since AS "awaySince", warned_at AS "warnedAt"`;
    },

    /** @param pauseMs until the next attempt; left out while this one continues. @returns false when a newer attempt has begun */
    async record({ jobId, position, attempt }: IntegrationRun, patch: RunPatch, pauseMs?: number): Promise<boolean> {
      const next = pauseMs === undefined ? {} : { nextAttemptAt: new Date((await databaseTime(db)).getTime() + pauseMs) };
      const { latest, ...others } = patch;
      const json = latest == null ? {} : { latest: latest as Prisma.InputJsonObject };
      const { count } = await db.integrationRun.updateMany({ where: { jobId, position, attempt }, data: { ...others, ...json, ...next } });
      return count === 1;
    },
  };
}
