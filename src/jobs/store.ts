import { requireRoomForJob } from '../accounts/quota-store.ts';
import type { Database } from '../database/client.ts';
import { storable } from '../database/storable.ts';
import { tombstoneOf } from '../database/tombstones.ts';
import { jsonText } from '../formats/json-text.ts';
import { type Job as JobRow, Prisma } from '../generated/prisma/client.ts';
import { cursorOf, type Page, pageOf } from '../http/paging.ts';
import { takeTrial } from '../sweeps/trial-store.ts';
import { openAttemptStore } from './attempt-store.ts';
import { eventRows } from './event-rows.ts';
import type { Job, NewEvent, NewJob } from './job.ts';
import { asJob, isDue, JOB_COLUMNS, type Moved, moveIf } from './row-store.ts';
import type { MoveName } from './state.ts';

export type JobStore = ReturnType<typeof openJobStore>;

export interface JobFilter {
  after?: string;
  limit: number;
  /** Pairs that must all match; null: jobs without metadata. */
  metadata?: Record<string, string> | null;
  /** Only dry runs, or only other jobs. */
  dryRun?: boolean;
  /** Only the jobs of this sweep. */
  sweepId?: string;
}

/**
 * Jobs: their state and the worker that has them. Methods for users take the owner first and see only that owner's jobs; those for workers and the
 * reconciler are in attempt-store.ts.
 */
export function openJobStore(db: Database) {
  return {
    ...openAttemptStore(db),

    /**
     * @param events  the job's first ones
     * @returns the job, and whether it is new: a known idempotency key of this owner returns the job created before
     */
    async create(owner: string, job: NewJob, events: NewEvent[] = []): Promise<{ job: Job; created: boolean }> {
      const { idempotencyKey = null, metadata, integrations, samplePrompts, evaluations, startFrom, runs = [], ...others } = job;
      const { objective = 'supervised', chatTemplate, chatTemplateKwargs, ...rest } = others;
      // As text: Postgres would sort the keys of an object.
      const kwargs = chatTemplateKwargs == null ? null : jsonText(chatTemplateKwargs);
      const method = { type: objective, chat_template: chatTemplate ?? null, chat_template_kwargs: kwargs };
      const json = {
        method,
        metadata: metadata ?? Prisma.DbNull,
        integrations: integrations ?? Prisma.DbNull,
        samplePrompts: samplePrompts ?? Prisma.DbNull,
        evaluations: evaluations ?? Prisma.DbNull,
        startFrom: startFrom ?? Prisma.DbNull,
      };
      const { sweepId = null, sweepIndex = null } = job;
      const data = { ...rest, owner, ...json, idempotencyKey } as Prisma.JobUncheckedCreateInput;
      try {
        const rows = eventRows(job.id, events).map(({ jobId, ...row }) => row);
        return await db.$transaction(async (tx) => {
          await requireRoomForJob(tx, owner);
          if (sweepId != null && sweepIndex != null) await takeTrial(tx, owner, { sweepId, sweepIndex });
          const made = { events: { createMany: { data: rows } }, runs: { createMany: { data: [...runs] } } };
          return { job: asJob(await tx.job.create({ data: { ...data, ...made } })), created: true };
        });
      } catch (error) {
        if (idempotencyKey === null || !isUniqueViolation(error)) throw error;
        return { job: asJob(await db.job.findUniqueOrThrow({ where: { owner_idempotencyKey: { owner, idempotencyKey } } })), created: false };
      }
    },

    async find(owner: string, id: string): Promise<Job | null> {
      const [row] = await db.$rows<JobRow>(`SELECT ${JOB_COLUMNS} FROM jobs WHERE id = $1 AND owner = $2`, [id, owner]);
      return row === undefined ? null : asJob(row);
    },

    /** How many of the owner's waiting jobs are begun before this one, and it; null if it does not wait. */
    async queuePosition(owner: string, id: string): Promise<number | null> {
      const [found] = await db.$queryRaw<{ position: bigint }[]>`
        SELECT (
          SELECT count(*) FROM jobs WHERE owner = ${owner} AND ${isDue}
            AND (attempt = 0, -priority, created_at, id) <= (mine.attempt = 0, -mine.priority, mine.created_at, mine.id)
        ) AS position
        FROM jobs AS mine WHERE id = ${id} AND owner = ${owner} AND ${isDue}`;
      return found === undefined ? null : Number(found.position);
    },

    /** Finds a job of any owner: the queue gives workers only ids. */
    async findAny(id: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { id } });
      return row && asJob(row);
    },

    /** Finds the job that made a tuned model. */
    async findByModel(owner: string, fineTunedModel: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { fineTunedModel, owner } });
      return row && asJob(row);
    },

    /** Jobs that have a tuned model, newest first. @param page.after the name of a tuned model */
    async listTuned(owner: string, { after, limit }: { after?: string; limit: number }): Promise<Page<Job>> {
      const cursor = await cursorOf(after, async (name) => {
        const job = await db.job.findUnique({ where: { fineTunedModel: name, owner }, select: { createdAt: true } });
        const found = job ?? (await tombstoneOf(db, owner, name));
        return found && { createdAt: found.createdAt, name };
      });
      const rest = cursor && { OR: [{ createdAt: { lt: cursor.createdAt } }, { createdAt: cursor.createdAt, fineTunedModel: { lt: cursor.name } }] };
      const orderBy: Prisma.JobOrderByWithRelationInput[] = [{ createdAt: 'desc' }, { fineTunedModel: 'desc' }];
      const rows = await db.job.findMany({ where: { owner, fineTunedModel: { not: null }, ...rest }, orderBy, take: limit + 1 });
      return pageOf(rows.map(asJob), limit);
    },

    async list(owner: string, { after, limit, metadata, dryRun, sweepId }: JobFilter): Promise<Page<Job>> {
      const cursor = await cursorOf(
        after,
        async (id) => (await db.job.findUnique({ where: { id, owner }, select: { createdAt: true, id: true } })) ?? tombstoneOf(db, owner, id),
      );
      // In words for which there is an index: see the migration "job_list".
      const values: unknown[] = [owner, limit + 1];
      const value = (what: unknown): string => `$${values.push(what)}`;
      const conditions = ['owner = $1'];
      if (metadata === null) conditions.push('metadata IS NULL');
      else if (metadata !== undefined) conditions.push(`metadata @> ${value(JSON.stringify(storable(metadata)))}`);
      if (dryRun !== undefined) conditions.push(`dry_run = ${value(dryRun)}`);
      if (sweepId !== undefined) conditions.push(`sweep_id = ${value(sweepId)}`);
      if (cursor) conditions.push(`(created_at, id) < (${value(cursor.createdAt.toISOString())}, ${value(cursor.id)})`);
      const rows = await db.$rows<JobRow>(
        `SELECT ${JOB_COLUMNS} FROM jobs WHERE ${conditions.join(' AND ')} ORDER BY created_at DESC, id DESC LIMIT $2`,
        values,
      );
      return pageOf(rows.map(asJob), limit);
    },

    /** A move by the owner. @returns the job after the move, or null if its status does not allow the move or it is not theirs */
    moveOwn(owner: string, id: string, name: MoveName, moved: Pick<Moved, 'events'> = {}): Promise<Job | null> {
      return db.$transaction((tx) => moveIf(tx, { id, owner }, name, moved));
    },

    /**
     * Lets a paused or failed job wait for a worker again. A worker that still writes the checkpoint of a paused job keeps it until then.
     * @returns the job after the move, or null if its status does not allow the move or it is not theirs
     */
    resumeOwn(owner: string, id: string, { events = [] }: Pick<Moved, 'events'> = {}): Promise<Job | null> {
      const moved = { patch: { error: null, finishedAt: null, expiresAt: null }, events };
      return db.$transaction(async (tx) => {
        // A paused job has its place in the queue.
        if ((await tx.job.count({ where: { id, owner, status: 'failed' } })) > 0) await requireRoomForJob(tx, owner);
        const read = await moveIf(tx, { id, owner, NOT: { resolved: { equals: Prisma.DbNull } } }, 'resume', moved);
        return read ?? moveIf(tx, { id, owner, resolved: { equals: Prisma.DbNull } }, 'revalidate', moved);
      });
    },
  };
}

const isUniqueViolation = (error: unknown): boolean => error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
