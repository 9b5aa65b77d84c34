import type { Database } from '../database/client.ts';
import { type Job as JobRow, Prisma } from '../generated/prisma/client.ts';
import { cursorOf, type Page, pageOf } from '../http/paging.ts';
import type { Job, JobPatch, NewJob } from './job.ts';
import { isFinal, type MoveName, moves } from './state.ts';

/** A worker that has not written for this long has lost its job: long enough for a database that is away or a clock that is wrong for half a minute. */
export const HEARTBEAT_BOUND_MS = 45_000;

export type JobStore = ReturnType<typeof openJobStore>;

export interface JobFilter {
  after?: string;
  limit: number;
  /** Pairs that must all be there; null: jobs without metadata. */
  metadata?: Record<string, string> | null;
}

/**
 * Jobs: who has each and how far it is. What users reach takes the owner first and knows no other's jobs; workers and the reconciler act on all.
 * Every write of a worker carries its attempt: null means that the job is no longer its own.
 */
export function openJobStore(db: Database) {
  /** Moves the job, if there is one and it may be moved from where it is: the database decides who wins. */
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
        ...(isFinal(to) && { finishedAt: now, estimatedFinish: null }),
      },
    });
    return row ? asJob(row) : null;
  }

  return {
    /** @returns the job, and whether it was made now: a known idempotency key of this owner gives the job it made before */
    async create(owner: string, job: NewJob): Promise<{ job: Job; created: boolean }> {
      const { idempotencyKey = null, metadata, ...rest } = job;
      const method = { type: 'supervised' };
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

    /** Of any owner: the queue gives a worker ids alone. */
    async findAny(id: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { id } });
      return row && asJob(row);
    },

    async findByIdempotencyKey(owner: string, idempotencyKey: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { owner_idempotencyKey: { owner, idempotencyKey } } });
      return row && asJob(row);
    },

    /** By the tuned model's name. */
    async findByModel(owner: string, fineTunedModel: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { fineTunedModel, owner } });
      return row && asJob(row);
    },

    /** Jobs whose tuned model can be had, newest first. */
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

    /** A user moves a job of their own. @returns the job after the move, or null if it cannot be moved so, or is not theirs */
    moveOwn(owner: string, id: string, name: MoveName): Promise<Job | null> {
      return moveIf({ id, owner }, name);
    },

    /**
     * A worker or the reconciler moves a job.
     * @param options.attempt  a worker's own attempt; an older one than the job's changes nothing
     * @returns the job after the move, or null if someone else moved it first
     */
    move(id: string, name: MoveName, { attempt, patch }: { attempt?: number; patch?: JobPatch } = {}): Promise<Job | null> {
      return moveIf({ id, ...(attempt !== undefined && { attempt }) }, name, patch);
    },

    /**
     * A worker takes a job that is due and that no living worker has. Its attempt fences off whoever had it before.
     * @returns the job with the new attempt, or null when it is not to be had
     */
    async claim(id: string, workerId: string): Promise<Job | null> {
      const now = new Date();
      const [row] = await db.job.updateManyAndReturn({
        where: { id, status: { in: ['validating_files', 'queued'] }, OR: nobodyHas(now) },
        data: { attempt: { increment: 1 }, workerId, heartbeatAt: now },
      });
      return row ? asJob(row) : null;
    },

    /** @returns the job, or null when it was cancelled or taken over: stop working on it */
    async heartbeat(id: string, attempt: number, patch: JobPatch = {}): Promise<Job | null> {
      const [row] = await db.job.updateManyAndReturn({
        where: { id, attempt, workerId: { not: null }, status: { in: [...underWay] } },
        data: { ...asColumns(patch), heartbeatAt: new Date() },
      });
      return row ? asJob(row) : null;
    },

    /** Before the data has been read a worker that stops lets go of its job; a running one is let go by `requeue`. */
    async release(id: string, attempt: number): Promise<void> {
      await db.job.updateMany({
        where: { id, attempt, status: { in: ['validating_files', 'queued'] } },
        data: { workerId: null, heartbeatAt: null },
      });
    },

    /** Ids of jobs that wait for a worker and have none, oldest first. */
    async findDue(limit: number): Promise<string[]> {
      const rows = await db.job.findMany({
        where: { status: { in: ['validating_files', 'queued'] }, OR: nobodyHas(new Date()) },
        orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
        take: limit,
        select: { id: true },
      });
      return rows.map(({ id }) => id);
    },

    /** Unfinished jobs whose worker fell silent. */
    async findStalled(): Promise<Job[]> {
      const rows = await db.job.findMany({
        where: { status: { in: [...underWay] }, workerId: { not: null }, heartbeatAt: { lt: silentSince(new Date()) } },
      });
      return rows.map(asJob);
    },

    /** The tuned model is gone; the job stays. */
    async forgetModel(owner: string, fineTunedModel: string): Promise<void> {
      await db.job.updateMany({ where: { fineTunedModel, owner }, data: { fineTunedModel: null } });
    },
  };
}

const newestFirst: Prisma.JobOrderByWithRelationInput[] = [{ createdAt: 'desc' }, { id: 'desc' }];

/** What a worker may be at. */
const underWay = ['validating_files', 'queued', 'running'] as const;

const silentSince = (now: Date): Date => new Date(now.getTime() - HEARTBEAT_BOUND_MS);

const nobodyHas = (now: Date): Prisma.JobWhereInput[] => [{ workerId: null }, { heartbeatAt: null }, { heartbeatAt: { lt: silentSince(now) } }];

/** Locks the job's row for the transaction, so that a claim waits for the write and the write sees the claim. */
export async function fence(tx: Prisma.TransactionClient, id: string, attempt: number): Promise<boolean> {
  const { count } = await tx.job.updateMany({ where: { id, attempt, workerId: { not: null } }, data: { heartbeatAt: new Date() } });
  return count === 1;
}

const isUniqueViolation = (error: unknown): boolean => error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';

/** JSON columns are written by this store alone, so what comes out has the type that went in. */
const asJob = ({ method, integrations, idempotencyKey, trainedTokens, ...row }: JobRow): Job =>
  ({ ...row, trainedTokens: trainedTokens === null ? null : Number(trainedTokens) }) as unknown as Job;

/** null in a JSON column is SQL's NULL. */
function asColumns({ resolved, facts, error, tuning, ...plain }: JobPatch): Prisma.JobUpdateManyMutationInput {
  const json = Object.entries({ resolved, facts, error, tuning }).filter(([, value]) => value !== undefined);
  return { ...plain, ...Object.fromEntries(json.map(([name, value]) => [name, value ?? Prisma.DbNull])) };
}
