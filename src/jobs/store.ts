import type { Database } from '../database/client.ts';
import { jsonText } from '../formats/json-text.ts';
import { parseJsonValue } from '../formats/json-value.ts';
import { type Job as JobRow, Prisma } from '../generated/prisma/client.ts';
import { cursorOf, type Page, pageOf } from '../http/paging.ts';
import { keys } from '../object-store/keys.ts';
import type { Job, JobPatch, NewJob } from './job.ts';
import { heldStatuses, isFinal, type MoveName, moves } from './state.ts';

/** A worker that has not written for this long loses its job. Tolerates a database outage or a clock error of half a minute. */
export const HEARTBEAT_TIMEOUT_MS = 45_000;

export type JobStore = ReturnType<typeof openJobStore>;

export interface JobFilter {
  after?: string;
  limit: number;
  /** Pairs that must all match; null: jobs without metadata. */
  metadata?: Record<string, string> | null;
}

/**
 * Jobs: their state and the worker that has them. Methods for users take the owner first and see only that owner's jobs; workers and the reconciler
 * act on all. Every write of a worker carries its attempt; a result of null means that the worker no longer has the job.
 */
export function openJobStore(db: Database) {
  /** Moves the job if its current status allows it: the database decides who wins a race. */
  async function moveIf(where: Prisma.JobWhereInput, name: MoveName, patch: JobPatch = {}): Promise<Job | null> {
    const { from, to } = moves[name];
    const now = new Date();
    const [row] = await db.job.updateManyAndReturn({
      where: { ...where, status: { in: [...from] } },
      data: {
        ...asColumns(patch),
        status: to,
        ...(name === 'start' && { startedAt: now }),
        ...(name === 'requeue' && { workerId: null, heartbeatAt: null, estimatedFinish: null }),
        ...(to === 'paused' && { estimatedFinish: null }),
        ...((isFinal(to) || name === 'resume' || name === 'revalidate') && { ...noLosses, ...noWait }),
        ...(isFinal(to) && { finishedAt: now, estimatedFinish: null, workerId: null, heartbeatAt: null }),
      },
    });
    return row ? asJob(row) : null;
  }

  return {
    /** @returns the job, and whether it is new: a known idempotency key of this owner returns the job created before */
    async create(owner: string, job: NewJob): Promise<{ job: Job; created: boolean }> {
      const { idempotencyKey = null, metadata, chatTemplate, chatTemplateKwargs, ...rest } = job;
      // As text: Postgres would sort the keys of an object.
      const kwargs = chatTemplateKwargs == null ? null : jsonText(chatTemplateKwargs);
      const method = { type: 'supervised', chat_template: chatTemplate ?? null, chat_template_kwargs: kwargs };
      const data = { ...rest, owner, method, metadata: metadata ?? Prisma.DbNull, idempotencyKey } as Prisma.JobCreateInput;
      try {
        return { job: asJob(await db.job.create({ data })), created: true };
      } catch (error) {
        if (idempotencyKey === null || !isUniqueViolation(error)) throw error;
        return { job: asJob(await db.job.findUniqueOrThrow({ where: { owner_idempotencyKey: { owner, idempotencyKey } } })), created: false };
      }
    },

    async find(owner: string, id: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { id, owner } });
      return row && asJob(row);
    },

    /** Finds a job of any owner: the queue gives workers only ids. */
    async findAny(id: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { id } });
      return row && asJob(row);
    },

    async findByIdempotencyKey(owner: string, idempotencyKey: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { owner_idempotencyKey: { owner, idempotencyKey } } });
      return row && asJob(row);
    },

    /** Finds the job that made a tuned model. */
    async findByModel(owner: string, fineTunedModel: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { fineTunedModel, owner } });
      return row && asJob(row);
    },

    /** Jobs that have a tuned model, newest first. */
    async listTuned(owner: string): Promise<Job[]> {
      const rows = await db.job.findMany({ where: { owner, fineTunedModel: { not: null } }, orderBy: newestFirst });
      return rows.map(asJob);
    },

    async list(owner: string, { after, limit, metadata }: JobFilter): Promise<Page<Job>> {
      const cursor = await cursorOf(after, (id) => db.job.findUnique({ where: { id, owner }, select: { createdAt: true, id: true } }));
      const conditions: Prisma.JobWhereInput[] = Object.entries(metadata ?? {}).map(([key, value]) => ({ metadata: { path: [key], equals: value } }));
      if (metadata === null) conditions.push({ metadata: { equals: Prisma.DbNull } });
      if (cursor) conditions.push({ OR: [{ createdAt: { lt: cursor.createdAt } }, { createdAt: cursor.createdAt, id: { lt: cursor.id } }] });
      const rows = await db.job.findMany({ where: { owner, AND: conditions }, orderBy: newestFirst, take: limit + 1 });
      return pageOf(rows.map(asJob), limit);
    },

    /** A move by the owner. @returns the job after the move, or null if its status does not allow the move or it is not theirs */
    moveOwn(owner: string, id: string, name: MoveName): Promise<Job | null> {
      return moveIf({ id, owner }, name);
    },

    /**
     * Lets a paused or failed job wait for a worker again. A worker that still writes the checkpoint of a paused job keeps it until then.
     * @returns the job after the move, or null if its status does not allow the move or it is not theirs
     */
    async resumeOwn(owner: string, id: string): Promise<Job | null> {
      const fresh = { error: null, finishedAt: null };
      const read = await moveIf({ id, owner, NOT: { resolved: { equals: Prisma.DbNull } } }, 'resume', fresh);
      return read ?? moveIf({ id, owner, resolved: { equals: Prisma.DbNull } }, 'revalidate', fresh);
    },

    /** Deletes the job with its record, and marks its result files as deleted. @returns false if there was no such job */
    async deleteOwn(owner: string, id: string): Promise<boolean> {
      return db.$transaction(async (tx) => {
        // The files as they are now: the job may be about to succeed.
        const [deleted] = await tx.$queryRaw<
          { files: string[] }[]
        >`DELETE FROM jobs WHERE id = ${id} AND owner = ${owner} RETURNING result_file_ids AS files`;
        if (deleted === undefined) return false;
        const produced: Prisma.FileWhereInput = { OR: [{ id: { in: deleted.files } }, { storageKey: { startsWith: keys.job(id) } }] };
        await tx.file.updateMany({ where: { owner, deletedAt: null, ...produced }, data: { deletedAt: new Date() } });
        return true;
      });
    },

    /**
     * A move by a worker or the reconciler.
     * @param options.attempt  the worker's attempt; nothing changes if it is older than the job's
     * @returns the job after the move, or null if someone else moved it first
     */
    move(id: string, name: MoveName, { attempt, patch }: { attempt?: number; patch?: JobPatch } = {}): Promise<Job | null> {
      // Without a worker, a job that was taken back waits for another one: the former worker moves it no more, although its attempt is still the newest.
      return moveIf({ id, ...(attempt !== undefined && { attempt, workerId: { not: null } }) }, name, patch);
    },

    /**
     * Gives a worker a job that is due and that no live worker has. The new attempt fences off the previous worker.
     * @returns the job with the new attempt, or null when it cannot be claimed
     */
    async claim(id: string, workerId: string): Promise<Job | null> {
      const now = new Date();
      const [row] = await db.job.updateManyAndReturn({
        where: { id, status: { in: ['validating_files', 'queued'] }, AND: [{ OR: unclaimed(now) }, { OR: mayResume(now) }] },
        data: { attempt: { increment: 1 }, workerId, heartbeatAt: now },
      });
      return row ? asJob(row) : null;
    },

    /** @returns the job, which may have been paused, or null when it was cancelled, deleted or taken over: stop working on it */
    async heartbeat(id: string, attempt: number, patch: JobPatch = {}): Promise<Job | null> {
      const [row] = await db.job.updateManyAndReturn({
        where: { id, attempt, workerId: { not: null }, status: { in: [...heldStatuses] } },
        data: { ...asColumns(patch), heartbeatAt: new Date() },
      });
      return row ? asJob(row) : null;
    },

    /** A worker lets go of a job that is not running yet or is paused; a running one is released by `requeue`. @returns the job, or null if it had not got it */
    async release(id: string, attempt: number): Promise<Job | null> {
      const [row] = await db.job.updateManyAndReturn({
        where: { id, attempt, workerId: { not: null }, status: { in: ['validating_files', 'queued', 'paused'] } },
        data: { workerId: null, heartbeatAt: null },
      });
      return row ? asJob(row) : null;
    },

    /** Jobs that wait for a worker, oldest first. */
    async findDue(limit: number): Promise<Pick<Job, 'id' | 'attempt'>[]> {
      const rows = await db.job.findMany({
        where: { status: { in: ['validating_files', 'queued'] }, AND: [{ OR: unclaimed(new Date()) }, { OR: mayResume(new Date()) }] },
        orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
        take: limit,
        select: { id: true, attempt: true },
      });
      return rows;
    },

    /** Unfinished jobs whose worker went silent. */
    async findStalled(): Promise<Job[]> {
      const rows = await db.job.findMany({
        where: { status: { in: [...heldStatuses] }, workerId: { not: null }, heartbeatAt: { lt: silentSince(new Date()) } },
      });
      return rows.map(asJob);
    },

    /** For the sweep: which uploads the rows of these jobs name, and whether a worker may be uploading another one. Jobs without a row are left out. */
    async findUploads(ids: string[]): Promise<{ id: string; attempt: number; isHeld: boolean; folders: string[] }[]> {
      const select = {
        id: true,
        attempt: true,
        status: true,
        workerId: true,
        adapterFolder: true,
        checkpoints: { select: { folder: true } },
      } as const;
      const rows = await db.job.findMany({ where: { id: { in: ids } }, select });
      return rows.map(({ id, attempt, status, workerId, adapterFolder, checkpoints }) => ({
        id,
        attempt,
        isHeld: workerId !== null && !isFinal(status),
        folders: [adapterFolder, ...checkpoints.map(({ folder }) => folder)].filter((folder) => folder !== null),
      }));
    },

    /** Unfinished jobs that a worker has. */
    async findHeld(): Promise<Job[]> {
      const rows = await db.job.findMany({ where: { status: { in: [...heldStatuses] }, workerId: { not: null } } });
      return rows.map(asJob);
    },

    /** Clears the name of a deleted model; the job stays. */
    async forgetModel(owner: string, fineTunedModel: string): Promise<void> {
      await db.job.updateMany({ where: { fineTunedModel, owner }, data: { fineTunedModel: null } });
    },
  };
}

const newestFirst: Prisma.JobOrderByWithRelationInput[] = [{ createdAt: 'desc' }, { id: 'desc' }];

const silentSince = (now: Date): Date => new Date(now.getTime() - HEARTBEAT_TIMEOUT_MS);

const unclaimed = (now: Date): Prisma.JobWhereInput[] => [{ workerId: null }, { heartbeatAt: null }, { heartbeatAt: { lt: silentSince(now) } }];

/** Whoever resumes a job by hand gives it all its chances again, at once. */
const noLosses = { losses: 0, lostAtStep: null };
const noWait = { waitingFor: null, waitingSince: null, resumeAt: null };

/** Of a job that waits for something outside, whether it may be tried again. */
const mayResume = (now: Date): Prisma.JobWhereInput[] => [{ resumeAt: null }, { resumeAt: { lte: now } }];

/**
 * Locks the job's row for the transaction, so that a claim or a cancel waits for the write and the write sees them.
 * @returns whether the attempt is still the newest, has a worker and has not ended
 */
export async function fence(tx: Prisma.TransactionClient, id: string, attempt: number): Promise<boolean> {
  const held = { id, attempt, workerId: { not: null }, status: { in: [...heldStatuses] } };
  const { count } = await tx.job.updateMany({ where: held, data: { heartbeatAt: new Date() } });
  return count === 1;
}

const isUniqueViolation = (error: unknown): boolean => error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';

/** JSON columns are written only by this store, so they are read with the type that they were written with. */
function asJob({ method, integrations, idempotencyKey, trainedTokens, ...row }: JobRow): Job {
  // Jobs of older versions have neither in their method.
  const { chat_template: chatTemplate = null, chat_template_kwargs: kwargs = null } = method as Prisma.JsonObject;
  const chatTemplateKwargs = typeof kwargs === 'string' ? parseJsonValue(kwargs) : null;
  const adapterFolder = row.adapterFolder ?? (row.status === 'succeeded' ? keys.olderAdapter(row.id) : null);
  const tokens = trainedTokens === null ? null : Number(trainedTokens);
  return { ...row, chatTemplate, chatTemplateKwargs, adapterFolder, trainedTokens: tokens } as unknown as Job;
}

/** null is stored in a JSON column as SQL's NULL. */
function asColumns({ resolved, facts, error, tuning, ...plain }: JobPatch): Prisma.JobUpdateManyMutationInput {
  const json = Object.entries({ resolved, facts, error, tuning }).filter(([, value]) => value !== undefined);
  return { ...plain, ...Object.fromEntries(json.map(([name, value]) => [name, value ?? Prisma.DbNull])) };
}
