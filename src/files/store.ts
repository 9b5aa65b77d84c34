import { requireRoomForFile } from '../accounts/quota-store.ts';
import type { Database } from '../database/client.ts';
import { tombstoneOf } from '../database/tombstones.ts';
import { unexpired } from '../database/unexpired.ts';
import type { TableSource } from '../formats/table-source.ts';
import type { File as FileRow, Prisma } from '../generated/prisma/client.ts';
import { cursorOf, type Page, pageOf } from '../http/paging.ts';
import { finalStatuses } from '../jobs/state.ts';
import type { FilePurpose } from './purpose.ts';

export interface StoredFile {
  id: string;
  /** The project that the file belongs to. */
  owner: string;
  filename: string;
  purpose: FilePurpose;
  sizeBytes: number;
  /** Hex digest. */
  sha256: string;
  /** A dataset is `uploaded` until all of it has been read; then it is good, or `error`: no job can be trained on it. */
  status: 'uploaded' | 'processed' | 'error';
  /** What is the matter with the content and what to do about it; null if nothing is. */
  statusDetails: string | null;
  /** Key of the content in the object store; several files may share one object. */
  storageKey: string;
  createdAt: Date;
  expiresAt: Date | null;
}

export type NewFile = Pick<StoredFile, 'id' | 'filename' | 'purpose' | 'sizeBytes' | 'sha256' | 'storageKey'> &
  Partial<Pick<StoredFile, 'createdAt' | 'expiresAt' | 'status' | 'statusDetails'>> & {
    /** What the upload says of a table. */
    source?: TableSource;
  };

export interface FileFilter {
  purpose?: string;
  order: 'asc' | 'desc';
  after?: string;
  limit: number;
}

export type FileStore = ReturnType<typeof openFileStore>;

/** Metadata of files; their content is in the object store. An owner sees their own files unless deleted or expired; the sweep sees all. */
export function openFileStore(db: Database) {
  const visible = () => ({ deletedAt: null, ...unexpired() });
  return {
    /** @throws Refusal insufficient_quota */
    create(owner: string, file: NewFile): Promise<StoredFile> {
      return db.$transaction(async (tx) => {
        await requireRoomForFile(tx, owner, file.sizeBytes);
        return asFile(await tx.file.create({ data: columnsOf(owner, file) }));
      });
    },

    async find(owner: string, id: string): Promise<StoredFile | null> {
      const row = await db.file.findFirst({ where: { id, owner, ...visible() } });
      return row && asFile(row);
    },

    /**
     * A job may read its files after they are deleted, until it ends.
     * @returns the file even if it is deleted or expired; null if it never existed
     */
    async findEvenDeleted(owner: string, id: string): Promise<StoredFile | null> {
      const row = await db.file.findUnique({ where: { id, owner } });
      return row && asFile(row);
    },

    /** Those of the given files that are not deleted or expired. */
    async findMany(owner: string, ids: readonly string[]): Promise<StoredFile[]> {
      return (await db.file.findMany({ where: { id: { in: [...ids] }, owner, ...visible() } })).map(asFile);
    },

    async list(owner: string, { purpose, order, after, limit }: FileFilter): Promise<Page<StoredFile>> {
      const cursor = await cursorOf(
        after,
        async (id) => (await db.file.findUnique({ where: { id, owner }, select: { createdAt: true, id: true } })) ?? tombstoneOf(db, owner, id),
      );
      const beyond = order === 'asc' ? 'gt' : 'lt';
      const afterCursor = cursor && {
        OR: [{ createdAt: { [beyond]: cursor.createdAt } }, { createdAt: cursor.createdAt, id: { [beyond]: cursor.id } }],
      };
      const rows = await db.file.findMany({
        where: { AND: [{ owner }, visible(), purpose === undefined ? {} : { purpose }, afterCursor ?? {}] },
        orderBy: [{ createdAt: order }, { id: order }],
        take: limit + 1,
      });
      return pageOf(rows.map(asFile), limit);
    },

    /** Only marks the row: a running job may still read the file. @returns false if there was no such file */
    async delete(owner: string, id: string): Promise<boolean> {
      const { count } = await db.file.updateMany({ where: { id, owner, deletedAt: null }, data: { deletedAt: new Date() } });
      return count === 1;
    },

    /** Deleted and expired files whose rows still exist, oldest first. */
    async findGone(limit = 1000): Promise<StoredFile[]> {
      const rows = await db.file.findMany({
        where: { OR: [{ deletedAt: { not: null } }, { expiresAt: { lte: new Date() } }] },
        orderBy: { createdAt: 'asc' },
        take: limit,
      });
      return rows.map(asFile);
    },

    /** Those of the keys that a file of any owner is stored under. */
    async knownKeys(keys: string[]): Promise<string[]> {
      const rows = await db.file.findMany({ where: { storageKey: { in: keys } }, select: { storageKey: true } });
      return rows.map(({ storageKey }) => storageKey);
    },

    /** The hash of an object as it was recorded; null if no file is stored under this key. */
    async sha256Of(owner: string, storageKey: string): Promise<string | null> {
      return (await db.file.findFirst({ where: { owner, storageKey }, select: { sha256: true } }))?.sha256 ?? null;
    },

    async forget(id: string): Promise<void> {
      await db.file.deleteMany({ where: { id } });
    },

    /** Whether an unfinished job reads this file or another file shares its object, so that the content must be kept. */
    async isInUse({ id, storageKey }: StoredFile): Promise<boolean> {
      const reads = [
        { trainingFileId: id },
        { validationFileId: id },
        { evaluationFileId: id },
        { retentionFileId: id },
        { startFrom: { path: ['name'], equals: id } },
      ];
      const jobs = await db.job.count({ where: { status: { notIn: [...finalStatuses] }, OR: reads } });
      const others = await db.file.count({ where: { id: { not: id }, storageKey, deletedAt: null } });
      return jobs + others > 0;
    },
  };
}

/** A file that is only `uploaded` waits for its judgement. */
export const columnsOf = (owner: string, { source, ...file }: NewFile) => ({
  ...file,
  owner,
  ...(file.status === 'uploaded' && { validation: { create: source === undefined ? {} : { source: source as Prisma.InputJsonObject } } }),
});

export const asFile = ({ deletedAt, sizeBytes, ...row }: FileRow): StoredFile => ({ ...row, sizeBytes: Number(sizeBytes) }) as StoredFile;
