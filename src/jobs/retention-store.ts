import type { Database } from '../database/client.ts';
import { databaseTime, now } from '../database/time.ts';
import { Prisma } from '../generated/prisma/client.ts';
import { keys } from '../object-store/keys.ts';
import { eventRows } from './event-rows.ts';
import { type Attempt, writeFenced } from './fenced-write.ts';
import type { Checkpoint, Job } from './job.ts';
import { asCheckpoint } from './record-store.ts';
import { finalStatuses } from './state.ts';

/** What expires is shown for at least this long before it goes, also when the policy is new. */
const NOTICE_DAYS = 1;

export type RetentionStore = ReturnType<typeof openRetentionStore>;

/** Something of a job that ended, and when it goes. */
export interface Expiry {
  jobId: string;
  expiresAt: Date;
}

/** Removes what has expired, or was deleted, of jobs. Rows go first, so that no row names a missing file; then the caller removes the files. */
export function openRetentionStore(db: Database) {
  /** Deletes jobs with their record, and marks their result files as deleted. @returns their ids */
  const deleteJobs = (where: Prisma.Sql): Promise<string[]> =>
    db.$transaction(async (tx) => {
      // Their files as they are now: a job may be about to succeed.
      const deleted = await tx.$queryRaw<{ id: string; files: string[] }[]>`DELETE FROM jobs WHERE ${where} RETURNING id, result_file_ids AS files`;
      for (const { id, files } of deleted) {
        const produced: Prisma.FileWhereInput = { OR: [{ id: { in: files } }, { storageKey: { startsWith: keys.job(id) } }] };
        await tx.file.updateMany({ where: { deletedAt: null, ...produced }, data: { deletedAt: new Date() } });
      }
      return deleted.map(({ id }) => id);
    });

  return {
    /** All of a job, oldest first. */
    async checkpoints(id: string): Promise<Checkpoint[]> {
      return (await db.checkpoint.findMany({ where: { jobId: id }, orderBy: { step: 'asc' } })).map(asCheckpoint);
    },

    /** Removes rows of checkpoints, with an event. @returns false when the worker no longer has the job */
    async thin(attempt: Attempt, { steps, message }: { steps: number[]; message: string }): Promise<boolean> {
      const { id } = attempt;
      const [row] = infoRows(id, message);
      const thinned = await writeFenced(db, attempt, async (tx) => {
        await tx.checkpoint.deleteMany({ where: { jobId: id, step: { in: steps } } });
        await tx.jobEvent.createMany({ data: [row!], skipDuplicates: true });
        return true;
      });
      return thinned !== null;
    },

    /** Clears the name of a deleted model, with the rows of all checkpoints; marks the result files as deleted. The job stays. */
    async forgetModel({ id, owner, fineTunedModel, resultFileIds }: Job): Promise<void> {
      await db.$transaction(async (tx) => {
        const { count } = await tx.job.updateMany({ where: { id, owner, fineTunedModel }, data: { fineTunedModel: null, resultFileIds: [] } });
        if (count === 0) return; // somebody else was first
        await tx.checkpoint.deleteMany({ where: { jobId: id } });
        await tx.file.updateMany({ where: { id: { in: resultFileIds }, owner, deletedAt: null }, data: { deletedAt: new Date() } });
        const message = `The model ${fineTunedModel} has been deleted, with the checkpoints and result files of the job`;
        await tx.jobEvent.createMany({ data: infoRows(id, message) });
      });
    },

    /** Removes a checkpoint's row, with an event. @returns false if there is none, or the job has not ended */
    async forgetCheckpoint({ id }: Pick<Job, 'id'>, { step, message }: { step: number; message: string }): Promise<boolean> {
      return db.$transaction(async (tx) => {
        const ended = await tx.$queryRaw<object[]>`SELECT 1 FROM jobs AS owning WHERE id = ${id} AND ${hasEnded} FOR UPDATE`;
        if (ended.length === 0) return false;
        const { count } = await tx.checkpoint.deleteMany({ where: { jobId: id, step } });
        if (count === 1) await tx.jobEvent.createMany({ data: infoRows(id, message) });
        return count === 1;
      });
    },

    /** @returns false if there was no such job */
    async deleteJob(owner: string, id: string): Promise<boolean> {
      return (await deleteJobs(Prisma.sql`id = ${id} AND owner = ${owner}`)).length === 1;
    },

    /**
     * Brings the dates on which jobs or checkpoints expire in line with the policy. Only what has ended expires, and no date comes sooner than the notice.
     * A dry run has the date that it got when it ended.
     * @param days  how long they are kept after the job has ended; null: for ever
     * @returns the dates that are new
     */
    async schedule(what: 'jobs' | 'checkpoints', days: number | null): Promise<Expiry[]> {
      const table = Prisma.raw(what);
      const key = Prisma.raw(what === 'jobs' ? 'jobs.id' : 'checkpoints.job_id');
      const kept = days === null ? Prisma.sql`TRUE` : Prisma.sql`NOT ${hasEnded}`;
      await db.$executeRaw`UPDATE ${table} SET expires_at = NULL FROM jobs AS owning
        WHERE owning.id = ${key} AND ${table}.expires_at IS NOT NULL AND NOT owning.dry_run AND ${kept}`;
      if (days === null) return [];
      return db.$queryRaw<Expiry[]>`
        UPDATE ${table} SET expires_at = planned.next FROM (
          SELECT ${table}.id, owning.id AS job_id, CASE
            WHEN wanted >= notice THEN wanted
            WHEN ${table}.expires_at <= notice THEN GREATEST(${table}.expires_at, wanted)
            ELSE notice
          END AS next
          FROM ${table} JOIN jobs AS owning ON owning.id = ${key},
            LATERAL (SELECT owning.finished_at + make_interval(days => ${days}::int) AS wanted, ${now} + make_interval(days => ${NOTICE_DAYS}::int) AS notice) AS dates
          WHERE ${hasEnded} AND NOT owning.dry_run
        ) AS planned
        WHERE ${table}.id = planned.id AND ${table}.expires_at IS DISTINCT FROM planned.next::timestamp(3)
        RETURNING planned.job_id AS "jobId", ${table}.expires_at AS "expiresAt"`;
    },

    /** The same for uploaded files that have no date yet. @returns how many have one now */
    scheduleFiles(days: number): Promise<number> {
      return db.$executeRaw`UPDATE files SET expires_at = GREATEST(created_at + make_interval(days => ${days}::int), ${now} + make_interval(days => ${NOTICE_DAYS}::int))
        WHERE expires_at IS NULL AND deleted_at IS NULL AND purpose <> 'fine-tune-results'`;
    },

    /** Tells a job's reader what will happen. */
    async announce(jobId: string, message: string): Promise<void> {
      await db.jobEvent.createMany({ data: infoRows(jobId, message) });
    },

    /** Ids of jobs with checkpoints that have expired. */
    async jobsWithExpiredCheckpoints(limit: number): Promise<string[]> {
      const rows = await db.$queryRaw<{ id: string }[]>`SELECT DISTINCT job_id AS id FROM checkpoints WHERE expires_at <= ${now} LIMIT ${limit}`;
      return rows.map(({ id }) => id);
    },

    /** Removes the rows of a job's expired checkpoints, unless the job has been resumed. @returns what was removed */
    async removeExpiredCheckpoints(jobId: string): Promise<Checkpoint[]> {
      return db.$transaction(async (tx) => {
        const ended = await tx.$queryRaw<object[]>`SELECT 1 FROM jobs AS owning WHERE id = ${jobId} AND ${hasEnded} FOR UPDATE`;
        if (ended.length === 0) return [];
        const expired = (await tx.checkpoint.findMany({ where: { jobId, expiresAt: { lte: await databaseTime(tx) } } })).map(asCheckpoint);
        await tx.checkpoint.deleteMany({ where: { id: { in: expired.map(({ id }) => id) } } });
        if (expired.length > 0) await tx.jobEvent.createMany({ data: infoRows(jobId, 'The checkpoints were removed: they have expired') });
        return expired;
      });
    },

    /** @returns the ids of the removed jobs */
    removeExpiredJobs(limit: number): Promise<string[]> {
      const expired = Prisma.sql`SELECT id FROM jobs AS owning WHERE expires_at <= ${now} AND ${hasEnded} LIMIT ${limit} FOR UPDATE`;
      return deleteJobs(Prisma.sql`id IN (${expired})`);
    },
  };
}

const infoRows = (jobId: string, message: string) => eventRows(jobId, [{ level: 'info', message }]);

const hasEnded = Prisma.sql`owning.status::text IN (${Prisma.join([...finalStatuses])})`;
