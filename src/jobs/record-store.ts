import { countTokens } from '../accounts/quota-store.ts';
import type { Database } from '../database/client.ts';
import { tombstoneOf } from '../database/tombstones.ts';
import type { Metrics } from '../formats/metrics.ts';
import type { Checkpoint as CheckpointRow, JobEvent as EventRow } from '../generated/prisma/client.ts';
import { cursorOf, type Page, pageOf } from '../http/paging.ts';
import { CHECKPOINT_MARK, checkpointModelName, newCheckpointId } from '../ids.ts';
import { keys } from '../object-store/keys.ts';
import { eventRows } from './event-rows.ts';
import { type Attempt, writeFenced } from './fenced-write.ts';
import type { Checkpoint, JobEvent, NewCheckpoint, NewEvent, StepMetric } from './job.ts';
import type { JobStatus } from './state.ts';

export type JobRecord = ReturnType<typeof openJobRecord>;

/**
 * What jobs record while they run: events, the metrics of each step, checkpoints. As in the job store, methods for users take the owner first, and a
 * worker's writes carry its attempt.
 */
export function openJobRecord(db: Database) {
  return {
    /** Steps already recorded are left as they are, and have their events already. @returns false when the worker no longer has the job */
    async addMetrics(attempt: Attempt, steps: (StepMetric & { events?: NewEvent[] })[]): Promise<boolean> {
      const { id: jobId } = attempt;
      const data = steps.map(({ step, metrics }) => ({ jobId, step, metrics: onlyFinite(metrics) }));
      const written = await writeFenced(db, attempt, async (tx) => {
        const added = new Set(
          (await tx.stepMetric.createManyAndReturn({ data, skipDuplicates: true, select: { step: true } })).map(({ step }) => step),
        );
        const tokens = steps.reduce((sum, { step, metrics }) => sum + (added.has(step) ? (metrics['tokens'] ?? 0) : 0), 0);
        if (tokens > 0) await countTokens(tx, jobId, tokens);
        const events = steps.flatMap(({ step, events = [] }) => (added.has(step) ? events : []));
        await tx.jobEvent.createMany({ data: eventRows(jobId, events) });
        return true;
      });
      return written !== null;
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

    /** By a worker. @returns false when it no longer has the job */
    async addEvents(attempt: Attempt, events: NewEvent[]): Promise<boolean> {
      const data = eventRows(attempt.id, events);
      return (await writeFenced(db, attempt, (tx) => tx.jobEvent.createMany({ data, skipDuplicates: true }))) !== null;
    },

    /** By the service. */
    async appendEvent(id: string, event: NewEvent): Promise<JobEvent> {
      const [data] = eventRows(id, [event]);
      return db.$transaction(async (tx) => {
        // One transaction at a time adds events to a job: a follower's cursor would pass over an event that is committed late.
        await tx.$queryRaw`SELECT 1 FROM jobs WHERE id = ${id} FOR UPDATE`;
        return asEvent(await tx.jobEvent.create({ data: data! }));
      });
    },

    /** Newest first. */
    async events(owner: string, jobId: string, { after, limit }: { after?: string; limit: number }): Promise<Page<JobEvent>> {
      const cursor = await cursorOf(after, (id) => db.jobEvent.findFirst({ where: { id, jobId, job: { owner } }, select: { seq: true } }));
      const where = { jobId, job: { owner }, ...(cursor && { seq: { lt: cursor.seq } }) };
      const rows = await db.jobEvent.findMany({ where, orderBy: { seq: 'desc' }, take: limit + 1 });
      return pageOf(rows.map(asEvent), limit);
    },

    /** @returns an event's place among its job's; null if the job has no such event */
    async seqOfEvent(owner: string, jobId: string, id: string): Promise<bigint | null> {
      return (await db.jobEvent.findFirst({ where: { id, jobId, job: { owner } }, select: { seq: true } }))?.seq ?? null;
    },

    /**
     * For those who follow a job of any owner.
     * @returns the events after the given one, oldest first, and the status that the job had before they were read: after a final one, none are missing
     */
    async news(jobId: string, { after, limit }: { after: bigint; limit: number }): Promise<News> {
      const status = await statusOf(jobId);
      const rows = await db.jobEvent.findMany({ where: { jobId, seq: { gt: after } }, orderBy: { seq: 'asc' }, take: limit });
      return { status, events: rows.map(asEvent) };
    },

    /** The same for the newest events. */
    async newestNews(jobId: string, limit: number): Promise<News> {
      const status = await statusOf(jobId);
      const rows = await db.jobEvent.findMany({ where: { jobId }, orderBy: { seq: 'desc' }, take: limit });
      return { status, events: rows.reverse().map(asEvent) };
    },

    /** Replaces an earlier checkpoint of the same step, whose event there is already. @returns null when the worker no longer has the job */
    async addCheckpoint(attempt: Attempt, { step, folder, metrics, files }: NewCheckpoint): Promise<Checkpoint | null> {
      const { id: jobId } = attempt;
      const columns = { folder, metrics: onlyFinite(metrics), files, problem: null };
      return writeFenced(db, attempt, async (tx) => {
        const where = { jobId_step: { jobId, step } };
        const job = await tx.job.findUniqueOrThrow({ where: { id: jobId }, select: { id: true, organization: true, model: true, suffix: true } });
        const name = checkpointModelName(job, step);
        if ((await tx.checkpoint.count({ where: { jobId, step } })) === 0) {
          const event = { level: 'info', message: `Checkpoint created at step ${step}: ${name}` } as const;
          await tx.jobEvent.createMany({ data: eventRows(jobId, [event]) });
        }
        const create = { id: newCheckpointId(), jobId, step, name, ...columns };
        return asCheckpoint(await tx.checkpoint.upsert({ where, create, update: columns }));
      });
    },

    /** Newest first. */
    async checkpoints(owner: string, jobId: string, { after, limit }: { after?: string; limit: number }): Promise<Page<Checkpoint>> {
      const cursor = await cursorOf(after, async (id) => {
        const found = await db.checkpoint.findFirst({ where: { id, jobId, job: { owner } }, select: { step: true } });
        return found ?? tombstoneOf(db, jobId, id);
      });
      const where = { jobId, job: { owner }, ...(cursor && { step: { lt: cursor.step! } }) };
      const rows = await db.checkpoint.findMany({ where, orderBy: { step: 'desc' }, take: limit + 1 });
      return pageOf(rows.map(asCheckpoint), limit);
    },

    /** Finds a checkpoint by its model name, `ft:…:ckpt-step-N`. */
    async findCheckpoint(owner: string, name: string): Promise<Checkpoint | null> {
      const row = await db.checkpoint.findUnique({ where: { name, job: { owner } } });
      return row && asCheckpoint(row);
    },

    /** The newest good checkpoint of the job whose tuned model has, or will have, this name. */
    async newestOfModel(owner: string, model: string): Promise<Checkpoint | null> {
      const where = { name: { startsWith: model + CHECKPOINT_MARK }, problem: null, job: { owner } };
      const row = await db.checkpoint.findFirst({ where, orderBy: { step: 'desc' } });
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

    /** Marks a checkpoint that cannot be resumed from, and records the event with it, once. @returns false when the worker no longer has the job */
    async rejectCheckpoint(attempt: Attempt, { step, problem, event }: { step: number; problem: string; event: NewEvent }): Promise<boolean> {
      const { id: jobId } = attempt;
      const written = await writeFenced(db, attempt, async (tx) => {
        const { count } = await tx.checkpoint.updateMany({ where: { jobId, step, problem: null }, data: { problem } });
        if (count === 1) await tx.jobEvent.createMany({ data: eventRows(jobId, [event]) });
        return true;
      });
      return written !== null;
    },
  };

  async function statusOf(id: string): Promise<JobStatus | null> {
    return (await db.job.findUnique({ where: { id }, select: { status: true } }))?.status ?? null;
  }
}

export interface News {
  /** null: there is no such job any more. */
  status: JobStatus | null;
  events: JobEvent[];
}

/** JSON has neither NaN nor infinity, so non-finite metrics are left out. */
const onlyFinite = (metrics: Metrics): Record<string, number> =>
  Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));

/** JSON columns are written only by this store, so they are read with the type that they were written with. */
const asEvent = ({ jobId, ...row }: EventRow): JobEvent => row as unknown as JobEvent;

export const asCheckpoint = (row: CheckpointRow): Checkpoint =>
  ({ ...row, folder: row.folder ?? keys.olderCheckpoint(row.jobId, row.step) }) as unknown as Checkpoint;
