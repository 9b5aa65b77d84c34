import { fullProjects } from '../accounts/quota-store.ts';
import type { Database, Transaction } from '../database/client.ts';
import { databaseTime } from '../database/time.ts';
import type { NewFile } from '../files/store.ts';
import type { Prisma } from '../generated/prisma/client.ts';
import { type Attempt, writeFenced } from './fenced-write.ts';
import type { Job, JobPatch, NewEvent } from './job.ts';
import { addEvents, asColumns, asJob, dueAt, type Moved, moveIf } from './row-store.ts';
import { heldStatuses, isFinal, type MoveName } from './state.ts';
import { openTurnStore } from './turn-store.ts';

/** A worker that has not written for this long, by the database's clock, loses its job or export. Tolerates a database outage of half a minute. */
export const HEARTBEAT_TIMEOUT_MS = 45_000;

/** What a successful attempt leaves. */
interface Delivered {
  fineTunedModel: string;
  adapterFolder: string;
  trainedTokens: number;
  /** Steps done, if the job stopped before those that were planned. */
  totalSteps?: number;
  /** The result files, in the order in which the job shows them. */
  files: NewFile[];
  events: NewEvent[];
}

/**
 * What workers and the reconciler do with jobs, whoever owns them. Every write of a worker carries its attempt; a result of null means that the
 * worker no longer has the job.
 */
export function openAttemptStore(db: Database) {
  return {
    ...openTurnStore(db),

    /**
     * A move by a worker or the reconciler, and the events that report it.
     * @param options.attempt  the worker's attempt; nothing changes if it no longer has the job
     * @returns the job after the move, or null if someone else moved it first
     */
    move(id: string, name: MoveName, { attempt, ...moved }: Moved & { attempt?: number } = {}): Promise<Job | null> {
      const write = (tx: Transaction) => moveIf(tx, { id }, name, moved);
      return attempt === undefined ? db.$transaction(write) : writeFenced(db, { id, attempt }, write);
    },

    /**
     * The data has been read and the first step is next: validating_files → queued → running, each with what it records. Moves that were made before
     * are not made again.
     * @returns the job, or null if the worker no longer has it
     */
    begin(attempt: Attempt, { read, start }: { read: Moved; start: Moved }): Promise<Job | null> {
      const { id } = attempt;
      return writeFenced(db, attempt, async (tx) => {
        await moveIf(tx, { id }, 'read', read);
        await moveIf(tx, { id }, 'start', start);
        return asJob(await tx.job.findUniqueOrThrow({ where: { id } }));
      });
    },

    /**
     * Records a success as a whole: the files have rows, the job has its model, and the events say so, or nothing of it is.
     * @returns the job; null when this attempt no longer has it, and then no row names its files, nor ever will
     */
    async succeed(attempt: Attempt, { files, events, ...delivered }: Delivered): Promise<Job | null> {
      const { id } = attempt;
      const patch = { ...delivered, resultFileIds: files.map((file) => file.id) };
      const job = await writeFenced(db, attempt, async (tx) => {
        const moved = await moveIf(tx, { id }, 'succeed', { patch, events });
        if (moved !== null) await tx.file.createMany({ data: files.map((file) => ({ ...file, owner: moved.owner })) });
        return moved;
      });
      if (job !== null) return job;
      // The answer to an earlier commit may have been lost. This attempt's own folder in the row tells, whatever has happened to the job since.
      const row = await db.job.findUnique({ where: { id, adapterFolder: delivered.adapterFolder } });
      return row && asJob(row);
    },

    /** @returns the job, which may have been paused, or null when it was cancelled, deleted or taken over: stop working on it */
    async heartbeat(id: string, attempt: number, patch: JobPatch = {}): Promise<Job | null> {
      const [row] = await db.job.updateManyAndReturn({
        where: { id, attempt, workerId: { not: null }, status: { in: [...heldStatuses] } },
        data: { ...asColumns(patch), heartbeatAt: await databaseTime(db) },
      });
      return row ? asJob(row) : null;
    },

    /**
     * A worker lets go of a job that is not running yet or is paused; a running one is released by `requeue`.
     * @returns the job, or null if it had not got it
     */
    release(id: string, attempt: number, events: NonNullable<Moved['events']> = []): Promise<Job | null> {
      return writeFenced(db, { id, attempt }, async (tx) => {
        const [row] = await tx.job.updateManyAndReturn({
          where: { id, status: { in: ['validating_files', 'queued', 'paused'] } },
          data: { workerId: null, heartbeatAt: null },
        });
        if (row === undefined) return null;
        const job = asJob(row);
        await addEvents(tx, job, events);
        return job;
      });
    },

    /** Jobs that wait for a worker, for waking workers: those created first. Projects that have reached a limit are left out. @param except leaves out jobs on these models */
    async findDue(limit: number, except: Pick<Job, 'model' | 'modelRevision'>[] = []): Promise<Pick<Job, 'id'>[]> {
      const now = await databaseTime(db);
      const full = (await fullProjects(db)).map((project) => project.id);
      return db.job.findMany({
        where: { ...dueAt(now), owner: { notIn: full }, AND: except.map(notOn) },
        orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
        take: limit,
        select: { id: true },
      });
    },

    /** Unfinished jobs whose worker went silent. */
    async findStalled(): Promise<Job[]> {
      const rows = await db.job.findMany({
        where: { status: { in: [...heldStatuses] }, workerId: { not: null }, heartbeatAt: { lt: silentSince(await databaseTime(db)) } },
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
  };
}

/** A heartbeat from before this time is too old. */
export const silentSince = (now: Date): Date => new Date(now.getTime() - HEARTBEAT_TIMEOUT_MS);

/** Spelt out because SQL's NOT of a comparison with NULL is not true. */
const notOn = ({ model, modelRevision }: Pick<Job, 'model' | 'modelRevision'>): Prisma.JobWhereInput => ({
  OR: [{ model: { not: model } }, ...(modelRevision === null ? [] : [{ modelRevision: null }]), { modelRevision: { not: modelRevision } }],
});
