import { requireRoomForFile } from '../accounts/quota-store.ts';
import type { Database } from '../database/client.ts';
import type { UploadPurpose } from '../files/purpose.ts';
import { asFile, columnsOf, type NewFile, type StoredFile } from '../files/store.ts';
import type { TableSource } from '../formats/table-source.ts';
import type { UploadPart as PartRow, Prisma, Upload as UploadRow } from '../generated/prisma/client.ts';

export interface Upload {
  id: string;
  /** The project that the upload belongs to. */
  owner: string;
  filename: string;
  mimeType: string;
  purpose: UploadPurpose;
  /** How large the whole file is to be. */
  sizeBytes: number;
  status: 'pending' | 'completed' | 'cancelled';
  /** What the file's own `expires_after` asks for. */
  fileExpiresSeconds: number | null;
  /** What it says of a table. */
  source: TableSource;
  /** The file that it became, and of which parts. */
  fileId: string | null;
  partIds: string[];
  createdAt: Date;
  /** When it can no longer be completed. */
  expiresAt: Date;
}

export interface UploadPart {
  id: string;
  uploadId: string;
  sizeBytes: number;
  createdAt: Date;
}

export type NewUpload = Pick<
  Upload,
  'id' | 'filename' | 'mimeType' | 'purpose' | 'sizeBytes' | 'fileExpiresSeconds' | 'source' | 'createdAt' | 'expiresAt'
>;

export const statusNow = ({ status, expiresAt }: Upload): Upload['status'] | 'expired' =>
  status === 'pending' && expiresAt <= new Date() ? 'expired' : status;

export type UploadStore = ReturnType<typeof openUploadStore>;

/** Uploads in parts. Their content is in the object store until they have ended. */
export function openUploadStore(db: Database) {
  return {
    async create(owner: string, upload: NewUpload): Promise<Upload> {
      return asUpload(await db.upload.create({ data: { ...upload, source: upload.source as Prisma.InputJsonObject, owner } }));
    },

    async find(owner: string, id: string): Promise<Upload | null> {
      const row = await db.upload.findUnique({ where: { id, owner } });
      return row && asUpload(row);
    },

    /** In the order of their arrival. */
    async parts(owner: string, uploadId: string): Promise<UploadPart[]> {
      const rows = await db.uploadPart.findMany({ where: { uploadId, upload: { owner } }, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] });
      return rows.map(asPart);
    },

    /**
     * Records a part that is stored, unless the upload has ended or has too many already.
     * @returns the part, or why it does not count: its content can go
     */
    addPart(
      { owner, id: uploadId }: Pick<Upload, 'owner' | 'id'>,
      part: { id: string; sizeBytes: number },
      most: { parts: number; bytes: number },
    ): Promise<UploadPart | 'ended' | 'too many'> {
      return db.$transaction(async (tx) => {
        // Locks the row: a completion, a cancellation or another part comes before this one or after it.
        const { count: pending } = await tx.upload.updateMany({
          where: { id: uploadId, owner, status: 'pending', expiresAt: { gt: new Date() } },
          data: { status: 'pending' },
        });
        if (pending === 0) return 'ended';
        const { _count: parts, _sum: sum } = await tx.uploadPart.aggregate({ where: { uploadId }, _count: true, _sum: { sizeBytes: true } });
        if (parts >= most.parts || Number(sum.sizeBytes ?? 0) + part.sizeBytes > most.bytes) return 'too many';
        return asPart(await tx.uploadPart.create({ data: { ...part, uploadId } }));
      });
    },

    /** Makes the upload a file, as a whole or not at all. @returns null if it has ended in the meantime: then no row names the file's content */
    complete({ owner, id }: Pick<Upload, 'owner' | 'id'>, { partIds, file }: { partIds: string[]; file: NewFile }): Promise<StoredFile | null> {
      return db.$transaction(async (tx) => {
        await requireRoomForFile(tx, owner, file.sizeBytes);
        const completed = { status: 'completed', fileId: file.id, partIds };
        const { count } = await tx.upload.updateMany({ where: { id, owner, status: 'pending' }, data: completed });
        return count === 0 ? null : asFile(await tx.file.create({ data: columnsOf(owner, file) }));
      });
    },

    /** @returns false if it has ended already */
    async cancel({ owner, id }: Pick<Upload, 'owner' | 'id'>): Promise<boolean> {
      const { count } = await db.upload.updateMany({ where: { id, owner, status: 'pending' }, data: { status: 'cancelled' } });
      return count === 1;
    },

    /** For the sweep: uploads of any owner that have ended, or expired before a time, while their parts still have rows. */
    async findLeft(expiredBefore: Date, limit = 1000): Promise<string[]> {
      const ended = { OR: [{ status: { not: 'pending' } }, { expiresAt: { lt: expiredBefore } }] };
      const rows = await db.upload.findMany({ where: { ...ended, parts: { some: {} } }, take: limit, select: { id: true } });
      return rows.map(({ id }) => id);
    },

    /** Forgets the parts of an upload whose content has been removed. */
    async forgetParts(uploadId: string): Promise<void> {
      await db.uploadPart.deleteMany({ where: { uploadId } });
    },

    /** Removes the rows of uploads without parts that expired before a time. */
    async forget(expiredBefore: Date): Promise<void> {
      await db.upload.deleteMany({ where: { expiresAt: { lt: expiredBefore }, parts: { none: {} } } });
    },

    /** Those of the uploads that may still receive parts, or be completed. */
    async findPending(ids: string[], expiredBefore: Date): Promise<string[]> {
      const rows = await db.upload.findMany({
        where: { id: { in: ids }, status: 'pending', expiresAt: { gte: expiredBefore } },
        select: { id: true },
      });
      return rows.map(({ id }) => id);
    },
  };
}

const asUpload = (row: UploadRow): Upload => ({ ...row, sizeBytes: Number(row.sizeBytes), source: row.source ?? {} }) as unknown as Upload;

const asPart = (row: PartRow): UploadPart => ({ ...row, sizeBytes: Number(row.sizeBytes) });
