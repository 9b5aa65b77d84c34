import type { Database } from '../database/client.ts';
import { createdPage } from '../database/created-order.ts';
import { databaseTime } from '../database/time.ts';
import { tombstoneOf } from '../database/tombstones.ts';
import { untilAnswered } from '../database/until-answered.ts';
import { type Export as ExportRow, Prisma } from '../generated/prisma/client.ts';
import type { Page } from '../http/paging.ts';
import { silentSince } from '../jobs/attempt-store.ts';
import { addExportEvents, exportEventRows } from './event-store.ts';
import { cancelledEvent, claimedEvent, createdEvent, failedEvent, madeEvents, releasedEvent, succeededEvents } from './events.ts';
import { type Export, type ExportError, type NewExport, type NewExportEvent, UNFINISHED } from './export.ts';

/** An export that ended so many workers would end the next one too. */
const MAX_ATTEMPTS = 3;

/** A worker's turn with an export; a newer attempt fences off the older ones. */
export type ExportAttempt = Pick<Export, 'id' | 'attempt'>;

type Made = Pick<Export, 'folder' | 'files' | 'warnings' | 'proof'> & { keepDays: number };
/** A user's token is kept for as long as it is needed. */
const ENDED = { hubToken: null } as const;

export type ExportStore = ReturnType<typeof openExportStore>;

/** Methods for users take the owner first and see only that owner's exports. A worker's writes carry its attempt, and are refused to older ones. */
export function openExportStore(db: Database) {
  /** @returns whether the worker still has the export */
  const write = ({ id, attempt }: ExportAttempt, data: Prisma.ExportUpdateManyMutationInput, events: readonly NewExportEvent[]): Promise<boolean> => {
    const rows = exportEventRows(id, events);
    return untilAnswered(() =>
      db.$transaction(async (tx) => {
        const { count } = await tx.export.updateMany({ where: { id, attempt, status: 'running' }, data });
        if (count === 1) await addExportEvents(tx, rows);
        return count === 1;
      }),
    );
  };

  /** A user's or the service's write, with what it did as events. @returns the exports that it was done to */
  const move = (
    where: Prisma.ExportWhereInput,
    data: Prisma.ExportUpdateManyMutationInput,
    event: (one: Export) => NewExportEvent,
  ): Promise<Export[]> =>
    db.$transaction(async (tx) => {
      const moved = (await tx.export.updateManyAndReturn({ where, data })).map(asExport);
      await addExportEvents(
        tx,
        moved.flatMap((one) => exportEventRows(one.id, [event(one)])),
      );
      return moved;
    });

  const forget = async (where: Prisma.ExportWhereInput): Promise<string[]> =>
    db.$transaction(async (tx) => {
      const rows = await tx.export.findMany({ where, select: { id: true, folder: true } });
      await tx.export.deleteMany({ where: { id: { in: rows.map(({ id }) => id) } } });
      return rows.flatMap(({ folder }) => folder ?? []);
    });

  return {
    async create(owner: string, created: NewExport): Promise<Export> {
      const data = {
        ...created,
        source: created.source as unknown as Prisma.JsonObject,
        hub: created.hub === null ? Prisma.DbNull : { ...created.hub },
        owner,
        createdAt: await databaseTime(db),
      };
      return db.$transaction(async (tx) => {
        const row = await tx.export.create({ data });
        await addExportEvents(tx, exportEventRows(created.id, [createdEvent(created)]));
        return asExport(row);
      });
    },

    unfinished: (owner: string): Promise<number> => db.export.count({ where: { owner, status: { in: [...UNFINISHED] } } }),

    async find(owner: string, id: string): Promise<Export | null> {
      const row = await db.export.findUnique({ where: { id, owner } });
      return row && asExport(row);
    },

    /** Newest first. */
    async list(owner: string, { after, limit }: { after?: string; limit: number }): Promise<Page<Export>> {
      const page = await createdPage(
        { after, limit, order: 'desc' },
        {
          find: async (id) =>
            (await db.export.findUnique({ where: { id, owner }, select: { id: true, createdAt: true } })) ?? tombstoneOf(db, owner, id),
          many: ({ where, ...order }) => db.export.findMany({ where: { owner, ...where }, ...order }),
        },
      );
      return { ...page, data: page.data.map(asExport) };
    },

    /** @returns the export, or null if it does not exist or has already ended */
    async cancel(owner: string, id: string): Promise<Export | null> {
      const data = { ...ENDED, status: 'cancelled', finishedAt: await databaseTime(db) };
      const [cancelled] = await move({ id, owner, status: { in: [...UNFINISHED] } }, data, () => cancelledEvent);
      return cancelled ?? null;
    },

    /** @returns where its files are, for the caller to remove; null if there is no such export */
    async delete(owner: string, id: string): Promise<{ folder: string | null } | null> {
      const [row] = await db.$queryRaw<{ folder: string | null }[]>`DELETE FROM exports WHERE id = ${id} AND owner = ${owner} RETURNING folder`;
      return row ?? null;
    },

    /** Exports of a job's models, or of one of them, whoever asked for them. @returns where their files are */
    forgetOfJob: (jobId: string, model?: string): Promise<string[]> => forget({ jobId, ...(model !== undefined && { model }) }),

    /** @returns where the files of those are that have expired */
    forgetExpired: async (): Promise<string[]> => forget({ expiresAt: { lt: await databaseTime(db) } }),

    /** Those that wait for a worker or whose worker is gone, oldest first. Those that ended too many workers fail. */
    async due(limit: number): Promise<Export[]> {
      const now = await databaseTime(db);
      const lost = { status: 'running', heartbeatAt: { lt: silentSince(now) } };
      const error = { code: 'worker_lost', message: `${MAX_ATTEMPTS} workers were lost while they made the export`, param: null };
      await move({ ...lost, attempt: { gte: MAX_ATTEMPTS } }, { ...ENDED, status: 'failed', error, finishedAt: now }, () => failedEvent(error));
      return (await db.export.findMany({ where: { OR: [{ status: 'queued' }, lost] }, orderBy: { createdAt: 'asc' }, take: limit })).map(asExport);
    },

    /** @returns the export, or null if another worker took it, or it was cancelled */
    async claim({ id, attempt }: ExportAttempt, workerId: string): Promise<Export | null> {
      const now = await databaseTime(db);
      const begun = { status: 'running', attempt: { increment: 1 }, workerId, heartbeatAt: now, startedAt: now, doneBytes: null, totalBytes: null };
      const [claimed] = await move({ id, attempt, status: { in: [...UNFINISHED] } }, begun, claimedEvent);
      return claimed ?? null;
    },

    /** @returns false when it was cancelled, deleted or taken over: stop working on it */
    async heartbeat({ id, attempt }: ExportAttempt, progress: Pick<Export, 'doneBytes' | 'totalBytes'>): Promise<boolean> {
      const data = { ...progress, heartbeatAt: await databaseTime(db) };
      return untilAnswered(async () => (await db.export.updateMany({ where: { id, attempt, status: 'running' }, data })).count === 1);
    },

    /** @returns false when it was cancelled, deleted or taken over */
    addEvent: async (attempt: ExportAttempt, event: NewExportEvent): Promise<boolean> =>
      write(attempt, { heartbeatAt: await databaseTime(db) }, [event]),

    /** Records the files, which stay whatever becomes of the export. @returns whether it counts; otherwise the caller removes the files */
    async keep(attempt: ExportAttempt, { keepDays, proof, files, ...made }: Made): Promise<boolean> {
      const expiresAt = new Date((await databaseTime(db)).getTime() + keepDays * 24 * 3_600_000);
      const json = { files: files as unknown as Prisma.JsonArray, proof: proof ?? Prisma.DbNull };
      if (await write(attempt, { ...made, ...json, expiresAt }, madeEvents({ ...made, files, proof }))) return true;
      // The answer to an earlier commit may have been lost.
      return (await db.export.count({ where: { id: attempt.id, folder: made.folder } })) === 1;
    },

    /**
     * Once its files are kept and are where they were asked for. One that a vLLM serves stays until it is deleted.
     * @returns false when it was cancelled, deleted or taken over
     */
    async succeed(attempt: ExportAttempt, { hub, vllmName }: Pick<Export, 'hub' | 'vllmName'>): Promise<boolean> {
      const finishedAt = await databaseTime(db);
      const target = { ...(hub !== null && { hub: { ...hub } }), ...(vllmName !== null && { expiresAt: null }) };
      return write(attempt, { ...ENDED, status: 'succeeded', finishedAt, ...target }, succeededEvents({ hub, vllmName }));
    },

    async fail(attempt: ExportAttempt, error: ExportError): Promise<boolean> {
      return write(attempt, { ...ENDED, status: 'failed', error: { ...error }, finishedAt: await databaseTime(db) }, [failedEvent(error)]);
    },

    /** For another worker, or for another try. */
    release: (attempt: ExportAttempt): Promise<boolean> => write(attempt, { status: 'queued', workerId: null, heartbeatAt: null }, [releasedEvent]),

    /** For the sweep of stored objects. */
    findFolders: (ids: string[]): Promise<{ id: string; folder: string | null; status: string }[]> =>
      db.export.findMany({ where: { id: { in: ids } }, select: { id: true, folder: true, status: true } }),
  };
}

const numberOf = (bytes: bigint | null): number | null => (bytes === null ? null : Number(bytes));

const asExport = ({ doneBytes, totalBytes, ...row }: ExportRow): Export =>
  ({ ...row, doneBytes: numberOf(doneBytes), totalBytes: numberOf(totalBytes) }) as unknown as Export;
