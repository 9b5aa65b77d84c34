import type { Database } from '../database/client.ts';
import { createdPage } from '../database/created-order.ts';
import { databaseTime } from '../database/time.ts';
import { tombstoneOf } from '../database/tombstones.ts';
import { untilAnswered } from '../database/until-answered.ts';
import { type Export as ExportRow, Prisma } from '../generated/prisma/client.ts';
import type { Page } from '../http/paging.ts';
import { silentSince } from '../jobs/attempt-store.ts';
import type { Export, ExportError, ExportStatus, NewExport } from './export.ts';

/** An export that ended so many workers would end the next one too. */
const MAX_ATTEMPTS = 3;
const UNFINISHED = ['queued', 'running'] as const satisfies readonly ExportStatus[];

/** A worker's turn with an export; a newer attempt fences off the older ones. */
export type ExportAttempt = Pick<Export, 'id' | 'attempt'>;

type Made = Pick<Export, 'folder' | 'files' | 'warnings' | 'proof'> & { keepDays: number };
/** A user's token is kept for as long as it is needed. */
const ENDED = { hubToken: null } as const;

export type ExportStore = ReturnType<typeof openExportStore>;

/** Methods for users take the owner first and see only that owner's exports. A worker's writes carry its attempt, and are refused to older ones. */
export function openExportStore(db: Database) {
  /** @returns whether the worker still has the export */
  const write = ({ id, attempt }: ExportAttempt, data: Prisma.ExportUpdateManyMutationInput): Promise<boolean> =>
    untilAnswered(async () => (await db.export.updateMany({ where: { id, attempt, status: 'running' }, data })).count === 1);

  const forget = async (where: Prisma.ExportWhereInput): Promise<string[]> =>
    db.$transaction(async (tx) => {
      const rows = await tx.export.findMany({ where, select: { id: true, folder: true } });
      await tx.export.deleteMany({ where: { id: { in: rows.map(({ id }) => id) } } });
      return rows.flatMap(({ folder }) => folder ?? []);
    });

  return {
    async create(owner: string, created: NewExport): Promise<Export> {
      return asExport(
        await db.export.create({
          data: {
            ...created,
            source: created.source as unknown as Prisma.JsonObject,
            hub: created.hub === null ? Prisma.DbNull : { ...created.hub },
            owner,
            createdAt: await databaseTime(db),
          },
        }),
      );
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
      const [row] = await db.export.updateManyAndReturn({
        where: { id, owner, status: { in: [...UNFINISHED] } },
        data: { ...ENDED, status: 'cancelled', finishedAt: await databaseTime(db) },
      });
      return row === undefined ? null : asExport(row);
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
      await db.export.updateMany({
        where: { ...lost, attempt: { gte: MAX_ATTEMPTS } },
        data: { ...ENDED, status: 'failed', error, finishedAt: now },
      });
      return (await db.export.findMany({ where: { OR: [{ status: 'queued' }, lost] }, orderBy: { createdAt: 'asc' }, take: limit })).map(asExport);
    },

    /** @returns the export, or null if another worker took it, or it was cancelled */
    async claim({ id, attempt }: ExportAttempt, workerId: string): Promise<Export | null> {
      const now = await databaseTime(db);
      const [row] = await db.export.updateManyAndReturn({
        where: { id, attempt, status: { in: [...UNFINISHED] } },
        data: { status: 'running', attempt: { increment: 1 }, workerId, heartbeatAt: now, startedAt: now, doneBytes: null, totalBytes: null },
      });
      return row === undefined ? null : asExport(row);
    },

    /** @returns false when it was cancelled, deleted or taken over: stop working on it */
    async heartbeat(attempt: ExportAttempt, progress: Pick<Export, 'doneBytes' | 'totalBytes'>): Promise<boolean> {
      return write(attempt, { ...progress, heartbeatAt: await databaseTime(db) });
    },

    /** Records the files, which stay whatever becomes of the export. @returns whether it counts; otherwise the caller removes the files */
    async keep(attempt: ExportAttempt, { keepDays, proof, files, ...made }: Made): Promise<boolean> {
      const expiresAt = new Date((await databaseTime(db)).getTime() + keepDays * 24 * 3_600_000);
      const json = { files: files as unknown as Prisma.JsonArray, proof: proof ?? Prisma.DbNull };
      if (await write(attempt, { ...made, ...json, expiresAt })) return true;
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
      return write(attempt, { ...ENDED, status: 'succeeded', finishedAt, ...target });
    },

    async fail(attempt: ExportAttempt, error: ExportError): Promise<boolean> {
      return write(attempt, { ...ENDED, status: 'failed', error: { ...error }, finishedAt: await databaseTime(db) });
    },

    /** For another worker, or for another try. */
    release: (attempt: ExportAttempt): Promise<boolean> => write(attempt, { status: 'queued', workerId: null, heartbeatAt: null }),

    /** For the sweep of stored objects. */
    findFolders: (ids: string[]): Promise<{ id: string; folder: string | null; status: string }[]> =>
      db.export.findMany({ where: { id: { in: ids } }, select: { id: true, folder: true, status: true } }),
  };
}

const numberOf = (bytes: bigint | null): number | null => (bytes === null ? null : Number(bytes));

const asExport = ({ doneBytes, totalBytes, ...row }: ExportRow): Export =>
  ({ ...row, doneBytes: numberOf(doneBytes), totalBytes: numberOf(totalBytes) }) as unknown as Export;
