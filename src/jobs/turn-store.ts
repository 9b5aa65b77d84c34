import { fullProjects, unlessFull } from '../accounts/quota-store.ts';
import type { Database, Transaction } from '../database/client.ts';
import { databaseTime } from '../database/time.ts';
import { untilAnswered } from '../database/until-answered.ts';
import { WORKER_TIMEOUT_MS } from '../models/store.ts';
import type { DemandedModel } from './demand-store.ts';
import type { Job } from './job.ts';
import { asJob, isDue } from './row-store.ts';

/** What a worker must know of a job to decide whether it can take it. */
export type NextJob = Pick<Job, 'id' | 'model' | 'modelRevision'>;

/** What a worker leaves out when it looks for a job: those on base models that it does not have, and those that it cannot take for another reason. */
export interface Except {
  models: readonly DemandedModel[];
  ids: readonly string[];
}

/** Which of the waiting jobs, whoever owns them, a worker takes next, and the taking. */
export function openTurnStore(db: Database) {
  return {
    /**
     * The job whose turn it is: first those that had been begun, then by priority. Within one priority the project goes first of whose jobs workers have
     * the fewest, then the one whose last turn was longest ago; within a project, the job that was created first. A project that has reached a limit is
     * passed over.
     */
    async findNext({ models, ids }: Except): Promise<NextJob | null> {
      const full = (await fullProjects(db)).map((project) => project.id);
      // Everything about jobs comes from the two partial indexes of the migration "priority": test/jobs/turns.test.ts checks it.
      const [next] = await db.$queryRaw<NextJob[]>`
        WITH firsts AS (
          SELECT DISTINCT ON (owner) owner, id, model, model_revision, attempt > 0 AS is_begun, priority, created_at
          FROM jobs
          WHERE ${isDue} AND id <> ALL(${[...ids]}) AND owner <> ALL(${full})
            AND NOT EXISTS (
              SELECT FROM jsonb_to_recordset(${JSON.stringify(models)}::jsonb) AS lacking("model" text, "modelRevision" text)
              WHERE lacking."model" = jobs.model AND lacking."modelRevision" IS NOT DISTINCT FROM jobs.model_revision)
          ORDER BY owner, attempt > 0 DESC, priority DESC, created_at, id
        )
        SELECT id, model, model_revision AS "modelRevision" FROM firsts LEFT JOIN turns ON turns.project = firsts.owner
        ORDER BY is_begun DESC, priority DESC, (SELECT count(*) FROM jobs WHERE jobs.owner = firsts.owner AND worker_id IS NOT NULL),
          turns.number NULLS FIRST, created_at, id
        LIMIT 1`;
      return next ?? null;
    },

    /**
     * Jobs that a worker may take to train beside one that it has just taken: of its project, on its base, not begun yet. None while another project waits,
     * which would wait longer, and none for which another worker or slot is free.
     * @param free how many jobs this worker's machine could take besides
     */
    async findBeside({ id, owner, model, modelRevision, priority, workerId }: Job, { limit, free }: { limit: number; free: number }): Promise<Job[]> {
      const alive = new Date((await databaseTime(db)).getTime() - WORKER_TIMEOUT_MS);
      const idle = await db.$queryRaw<unknown[]>`
        SELECT id FROM workers WHERE heartbeat_at > ${alive} AND id <> ${workerId} AND NOT EXISTS (SELECT FROM jobs WHERE jobs.worker_id = workers.id)`;
      const found = await db.$queryRaw<{ id: string }[]>`
        SELECT id FROM jobs
        WHERE ${isDue} AND id <> ${id} AND owner = ${owner} AND attempt = 0 AND priority = ${priority} AND may_share_base
          AND model = ${model} AND model_revision IS NOT DISTINCT FROM ${modelRevision}
          AND NOT EXISTS (SELECT FROM jobs AS others WHERE ${isDue} AND owner <> ${owner})
        ORDER BY created_at, id LIMIT ${limit + idle.length + free}`;
      const ids = found.slice(0, Math.max(0, Math.min(limit, found.length - idle.length - free))).map((row) => row.id);
      return (await db.job.findMany({ where: { id: { in: ids } }, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] })).map(asJob);
    },

    /**
     * Gives a worker a job that is due and that no worker has: the reconciler alone takes jobs from silent ones, because it counts those losses.
     * The new attempt fences off the previous worker. The first one is a turn of the job's project; resuming a begun job is not.
     * A project that has reached a limit is given none.
     * @returns the job with the new attempt, or null when it cannot be claimed
     */
    async claim(id: string, workerId: string): Promise<Job | null> {
      const before = await db.job.findUnique({ where: { id }, select: { attempt: true, owner: true } });
      if (before === null) return null;
      const attempt = before.attempt + 1;
      return untilAnswered(async (isRepeated) => {
        const take = (tx: Database | Transaction) => tx.$queryRaw<unknown[]>`
          WITH claimed AS (
            UPDATE jobs SET attempt = ${attempt}, worker_id = ${workerId}, heartbeat_at = clock_timestamp() AT TIME ZONE 'UTC'
            WHERE id = ${id} AND attempt = ${before.attempt} AND ${isDue}
            RETURNING owner
          ), turn AS (
            INSERT INTO turns (project) SELECT owner FROM claimed WHERE ${attempt} = 1
            ON CONFLICT (project) DO UPDATE SET number = EXCLUDED.number
          )
          SELECT owner FROM claimed`;
        const [claimed] = (await unlessFull(db, before.owner, take)) ?? [];
        // Otherwise a job whose claim's answer was lost would wait until its heartbeat is too old.
        if (claimed === undefined && !isRepeated) return null;
        const row = await db.job.findUnique({ where: { id, attempt, workerId } });
        return row && asJob(row);
      });
    },
  };
}
