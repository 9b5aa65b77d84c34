import type { Database } from '../database/client.ts';
import type { Metrics } from '../formats/metrics.ts';
import { type Checkpoint as CheckpointRow, type JobEvent as EventRow, Prisma } from '../generated/prisma/client.ts';
import { cursorOf, type Page, pageOf } from '../http/paging.ts';
import { checkpointModelName, newCheckpointId, newEventId } from '../ids.ts';
import { keys } from '../object-store/keys.ts';
import type { Checkpoint, JobEvent, NewCheckpoint, NewEvent, StepMetric } from './job.ts';
import { fence } from './store.ts';

export type JobRecord = ReturnType<typeof openJobRecord>;

/**
 * What jobs record while they run: events, the metrics of each step, checkpoints. As in the job store, methods for users take the owner first, and a
 * worker's writes carry its attempt.
 */
export function openJobRecord(db: Database) {
  return {
    /** Steps already recorded are left as they are. @returns false when the attempt is not the newest */
    async addMetrics(id: string, attempt: number, metrics: StepMetric[]): Promise<boolean> {
      return db.$transaction(async (tx) => {
        if (!(await fence(tx, id, attempt))) return false;
        const data = metrics.map(({ step, metrics: numbers }) => ({ jobId: id, step, metrics: onlyFinite(numbers) }));
        await tx.stepMetric.createMany({ data, skipDuplicates: true });
        return true;
      });
    },

    /** Every step's metrics, in order. */
    async metrics(id: string): Promise<StepMetric[]> {
      const rows = await db.stepMetric.findMany({ where: { jobId: id }, orderBy: { step: 'asc' }, omit: { jobId: true } });
      return rows as StepMetric[];
    },

    /** @returns null if the step has not been recorded */
    async metric(id: string, step: number): Promise<StepMetric | null> {
      return (await db.stepMetric.findUnique({ where: { jobId_step: { jobId: id, step } }, omit: { jobId: true } })) as StepMetric | null;
    },

    /** @returns null if no step has been recorded */
    async lastMetric(id: string): Promise<StepMetric | null> {
      return (await db.stepMetric.findFirst({ where: { jobId: id }, orderBy: { step: 'desc' }, omit: { jobId: true } })) as StepMetric | null;
    },

    async appendEvent(id: string, event: NewEvent): Promise<JobEvent> {
      return asEvent(await db.jobEvent.create({ data: eventColumns(id, event) }));
    },

    /** Newest first. */
    async events(owner: string, jobId: string, { after, limit }: { after?: string; limit: number }): Promise<Page<JobEvent>> {
      const cursor = await cursorOf(after, (id) => db.jobEvent.findFirst({ where: { id, jobId, job: { owner } }, select: { seq: true } }));
      const where = { jobId, job: { owner }, ...(cursor && { seq: { lt: cursor.seq } }) };
      const rows = await db.jobEvent.findMany({ where, orderBy: { seq: 'desc' }, take: limit + 1 });
      return pageOf(rows.map(asEvent), limit);
    },

    async hasEvent(owner: string, jobId: string, id: string): Promise<boolean> {
      return (await db.jobEvent.count({ where: { id, jobId, job: { owner } } })) > 0;
    },

    /** For following a job: oldest first, only those after the given event, which exists. */
    async eventsSince(owner: string, jobId: string, after: string | null, limit: number): Promise<JobEvent[]> {
      const cursor = after === null ? null : await db.jobEvent.findFirst({ where: { id: after, jobId, job: { owner } }, select: { seq: true } });
      const rows = await db.jobEvent.findMany({
        where: { jobId, job: { owner }, ...(cursor && { seq: { gt: cursor.seq } }) },
        orderBy: { seq: 'asc' },
        take: limit,
      });
      return rows.map(asEvent);
    },

    /** Replaces an earlier checkpoint of the same step. @returns null when the attempt is not the newest */
    async addCheckpoint(id: string, attempt: number, { step, folder, metrics, files }: NewCheckpoint): Promise<Checkpoint | null> {
      return db.$transaction(async (tx) => {
        if (!(await fence(tx, id, attempt))) return null;
        const job = await tx.job.findUniqueOrThrow({ where: { id }, select: { id: true, owner: true, model: true, suffix: true } });
        const columns = { folder, metrics: onlyFinite(metrics), files, problem: null };
        const row = await tx.checkpoint.upsert({
          where: { jobId_step: { jobId: id, step } },
          create: { id: newCheckpointId(), jobId: id, step, name: checkpointModelName(job, step), ...columns },
          update: columns,
        });
        return asCheckpoint(row);
      });
    },

    /** Newest first. */
    async checkpoints(owner: string, jobId: string, { after, limit }: { after?: string; limit: number }): Promise<Page<Checkpoint>> {
      const cursor = await cursorOf(after, (id) => db.checkpoint.findFirst({ where: { id, jobId, job: { owner } }, select: { step: true } }));
      const where = { jobId, job: { owner }, ...(cursor && { step: { lt: cursor.step } }) };
      const rows = await db.checkpoint.findMany({ where, orderBy: { step: 'desc' }, take: limit + 1 });
      return pageOf(rows.map(asCheckpoint), limit);
    },

    /** Finds a checkpoint by its model name, `ft:…:ckpt-step-N`. */
    async findCheckpoint(owner: string, name: string): Promise<Checkpoint | null> {
      const row = await db.checkpoint.findUnique({ where: { name, job: { owner } } });
      return row && asCheckpoint(row);
    },

    /** The checkpoint that was written after a step. */
    async checkpointAt(owner: string, jobId: string, step: number): Promise<Checkpoint | null> {
      const row = await db.checkpoint.findUnique({ where: { jobId_step: { jobId, step }, job: { owner } } });
      return row && asCheckpoint(row);
    },

    /** The newest checkpoint that nothing is known to be wrong with. @param options.before looks only at those of earlier steps */
    async newestCheckpoint(id: string, { before }: { before?: number } = {}): Promise<Checkpoint | null> {
      const where = { jobId: id, problem: null, ...(before !== undefined && { step: { lt: before } }) };
      const row = await db.checkpoint.findFirst({ where, orderBy: { step: 'desc' } });
      return row && asCheckpoint(row);
    },

    /** Marks a checkpoint that cannot be resumed from, and records the event with it. @returns false when the attempt is not the newest */
    async rejectCheckpoint(
      id: string,
      attempt: number,
      { step, problem, event }: { step: number; problem: string; event: NewEvent },
    ): Promise<boolean> {
      return db.$transaction(async (tx) => {
        if (!(await fence(tx, id, attempt))) return false;
        await tx.checkpoint.update({ where: { jobId_step: { jobId: id, step } }, data: { problem } });
        await tx.jobEvent.create({ data: eventColumns(id, event) });
        return true;
      });
    },
  };
}

const eventColumns = (jobId: string, { level, message, type = 'message', data }: NewEvent) => ({
  ...{ id: newEventId(), jobId, level, message, type },
  data: data ?? Prisma.DbNull,
});

/** JSON has neither NaN nor infinity, so non-finite metrics are left out. */
const onlyFinite = (metrics: Metrics): Record<string, number> =>
  Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));

/** JSON columns are written only by this store, so they are read with the type that they were written with. */
const asEvent = ({ jobId, ...row }: EventRow): JobEvent => row as unknown as JobEvent;

const asCheckpoint = (row: CheckpointRow): Checkpoint =>
  ({ ...row, folder: row.folder ?? keys.olderCheckpoint(row.jobId, row.step) }) as unknown as Checkpoint;
