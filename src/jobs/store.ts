import type { Database } from '../database/client.ts';
import { type Checkpoint as CheckpointRow, type JobEvent as EventRow, type Job as JobRow, Prisma } from '../generated/prisma/client.ts';
import { cursorOf, type Page, pageOf } from '../http/paging.ts';
import { checkpointModelName, newCheckpointId, newEventId } from '../ids.ts';
import type { Checkpoint, CheckpointMetrics, Job, JobEvent, JobPatch, NewEvent, NewJob, StepMetric } from './job.ts';
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

/** Jobs and what belongs to them. Every write of a worker carries its attempt: null or false means that the job is no longer its own. */
export function openJobStore(db: Database) {
  return {
    /** @returns the job, and whether it was made now: a known idempotency key gives the job it made before */
    async create(job: NewJob): Promise<{ job: Job; created: boolean }> {
      const { idempotencyKey = null, metadata, ...rest } = job;
      const method = { type: 'supervised' };
      const data = { ...rest, method, metadata: metadata ?? Prisma.DbNull, idempotencyKey } as Prisma.JobCreateInput;
      try {
        return { job: asJob(await db.job.create({ data })), created: true };
      } catch (error) {
        if (idempotencyKey === null || !isUniqueViolation(error)) throw error;
        return { job: asJob(await db.job.findUniqueOrThrow({ where: { idempotencyKey } })), created: false };
      }
    },

    async find(id: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { id } });
      return row && asJob(row);
    },

    async findByIdempotencyKey(idempotencyKey: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { idempotencyKey } });
      return row && asJob(row);
    },

    /** By the tuned model's name. */
    async findByModel(fineTunedModel: string): Promise<Job | null> {
      const row = await db.job.findUnique({ where: { fineTunedModel } });
      return row && asJob(row);
    },

    /** Jobs whose tuned model can be had, newest first. */
    async listTuned(): Promise<Job[]> {
      const rows = await db.job.findMany({ where: { fineTunedModel: { not: null } }, orderBy: newestFirst });
      return rows.map(asJob);
    },

    async list({ after, limit, metadata }: JobFilter): Promise<Page<Job>> {
      const cursor = await cursorOf(after, (id) => db.job.findUnique({ where: { id }, select: { createdAt: true, id: true } }));
      const conditions: Prisma.JobWhereInput[] = Object.entries(metadata ?? {}).map(([key, value]) => ({ metadata: { path: [key], equals: value } }));
      if (metadata === null) conditions.push({ metadata: { equals: Prisma.DbNull } });
      if (cursor) conditions.push({ OR: [{ createdAt: { lt: cursor.createdAt } }, { createdAt: cursor.createdAt, id: { lt: cursor.id } }] });
      const rows = await db.job.findMany({ where: { AND: conditions }, orderBy: newestFirst, take: limit + 1 });
      return pageOf(rows.map(asJob), limit);
    },

    /**
     * Moves a job on, if it may be moved from where it is: the database decides who wins.
     * @param options.attempt  a worker's own attempt; an older one than the job's changes nothing
     * @returns the job after the move, or null if someone else moved it first
     */
    async move(id: string, name: MoveName, { attempt, patch = {} }: { attempt?: number; patch?: JobPatch } = {}): Promise<Job | null> {
      const { from, to } = moves[name];
      const now = new Date();
      const [row] = await db.job.updateManyAndReturn({
        where: { id, status: { in: [...from] }, ...(attempt !== undefined && { attempt }) },
        data: {
          ...asColumns(patch),
          status: to,
          ...(name === 'start' && { startedAt: now }),
          ...(name === 'requeue' && { workerId: null, heartbeatAt: null, estimatedFinish: null }),
          ...(isFinal(to) && { finishedAt: now, estimatedFinish: null }),
        },
      });
      return row ? asJob(row) : null;
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

    /** Steps that are there already stay as they are. @returns false when the attempt is not the newest */
    async recordMetrics(id: string, attempt: number, metrics: StepMetric[]): Promise<boolean> {
      return db.$transaction(async (tx) => {
        if (!(await fence(tx, id, attempt))) return false;
        await tx.stepMetric.createMany({ data: metrics.map((metric) => ({ ...metric, jobId: id })), skipDuplicates: true });
        return true;
      });
    },

    /** Every step's metrics, in order. */
    metrics(id: string): Promise<StepMetric[]> {
      return db.stepMetric.findMany({ where: { jobId: id }, orderBy: { step: 'asc' }, omit: { jobId: true } });
    },

    /** @returns the event */
    async appendEvent(id: string, { level, message, type = 'message', data }: NewEvent): Promise<JobEvent> {
      return asEvent(await db.jobEvent.create({ data: { id: newEventId(), jobId: id, level, message, type, data: data ?? Prisma.DbNull } }));
    },

    /** Newest first. */
    async events(jobId: string, { after, limit }: { after?: string; limit: number }): Promise<Page<JobEvent>> {
      const cursor = await cursorOf(after, (id) => db.jobEvent.findFirst({ where: { id, jobId }, select: { seq: true } }));
      const where = { jobId, ...(cursor && { seq: { lt: cursor.seq } }) };
      const rows = await db.jobEvent.findMany({ where, orderBy: { seq: 'desc' }, take: limit + 1 });
      return pageOf(rows.map(asEvent), limit);
    },

    /** In order, those after the event named, for following a job. */
    async eventsSince(id: string, after: string | null, limit: number): Promise<JobEvent[]> {
      const cursor = after === null ? null : await db.jobEvent.findFirst({ where: { id: after, jobId: id }, select: { seq: true } });
      const rows = await db.jobEvent.findMany({
        where: { jobId: id, ...(cursor && { seq: { gt: cursor.seq } }) },
        orderBy: { seq: 'asc' },
        take: limit,
      });
      return rows.map(asEvent);
    },

    /** A checkpoint of the same step replaces the one before. @returns null when the attempt is not the newest */
    async addCheckpoint(id: string, attempt: number, { step, metrics }: { step: number; metrics: CheckpointMetrics }): Promise<Checkpoint | null> {
      return db.$transaction(async (tx) => {
        if (!(await fence(tx, id, attempt))) return null;
        const job = asJob(await tx.job.findUniqueOrThrow({ where: { id } }));
        const json = metrics as unknown as Prisma.InputJsonObject;
        const row = await tx.checkpoint.upsert({
          where: { jobId_step: { jobId: id, step } },
          create: { id: newCheckpointId(), jobId: id, step, name: checkpointModelName(job, step), metrics: json },
          update: { metrics: json },
        });
        return asCheckpoint(row);
      });
    },

    /** Newest first. */
    async checkpoints(jobId: string, { after, limit }: { after?: string; limit: number }): Promise<Page<Checkpoint>> {
      const cursor = await cursorOf(after, (id) => db.checkpoint.findFirst({ where: { id, jobId }, select: { step: true } }));
      const where = { jobId, ...(cursor && { step: { lt: cursor.step } }) };
      const rows = await db.checkpoint.findMany({ where, orderBy: { step: 'desc' }, take: limit + 1 });
      return pageOf(rows.map(asCheckpoint), limit);
    },

    /** By its model name, `ft:…:ckpt-step-N`. */
    async findCheckpoint(name: string): Promise<Checkpoint | null> {
      const row = await db.checkpoint.findUnique({ where: { name } });
      return row && asCheckpoint(row);
    },

    async newestCheckpoint(id: string): Promise<Checkpoint | null> {
      const row = await db.checkpoint.findFirst({ where: { jobId: id }, orderBy: { step: 'desc' } });
      return row && asCheckpoint(row);
    },

    /** The tuned model is gone; the job stays. */
    async forgetModel(fineTunedModel: string): Promise<void> {
      await db.job.updateMany({ where: { fineTunedModel }, data: { fineTunedModel: null } });
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

const asEvent = ({ jobId, ...row }: EventRow): JobEvent => row as unknown as JobEvent;

const asCheckpoint = (row: CheckpointRow): Checkpoint => row as unknown as Checkpoint;

/** null in a JSON column is SQL's NULL. */
function asColumns({ resolved, facts, error, tuning, ...plain }: JobPatch): Prisma.JobUpdateManyMutationInput {
  const json = Object.entries({ resolved, facts, error, tuning }).filter(([, value]) => value !== undefined);
  return { ...plain, ...Object.fromEntries(json.map(([name, value]) => [name, value ?? Prisma.DbNull])) };
}
