import type { Database } from '../database/client.ts';
import { databaseTime } from '../database/time.ts';
import type { JudgedFile } from '../formats/judged-file.ts';
import type { TableSource } from '../formats/table-source.ts';
import type { Prisma } from '../generated/prisma/client.ts';
import type { StoredFile } from './store.ts';

/** A file that this process may read for its judgement, until others may. */
export interface Claim extends Pick<StoredFile, 'filename' | 'storageKey'> {
  fileId: string;
  /** Whose claim it is. */
  by: string;
  /** What the upload says of a table. */
  source: TableSource;
  /** How often reading the file has begun, this time included. */
  tries: number;
}

/** The dataset that a table became: where it is, and what it is. */
export type Converted = Pick<StoredFile, 'storageKey' | 'sizeBytes' | 'sha256'>;

export interface Verdict {
  judged: JudgedFile;
  /** null for a file that was one already, and for a table in which problems were found. */
  converted: Converted | null;
  /** What is the matter with the file; null if it is good. */
  statusDetails: string | null;
}

export type ValidationStore = ReturnType<typeof openValidationStore>;

/** Judgements of datasets, and which process reads which file for one. A claim ends by itself when its process does. */
export function openValidationStore(db: Database) {
  const claimed = ({ fileId, by }: Pick<Claim, 'fileId' | 'by'>) => ({ fileId, claimedBy: by, doneAt: null });
  return {
    /** Claims the oldest file that waits to be read. @returns null if no file waits */
    async claim(by: string, leaseMs: number): Promise<Claim | null> {
      const now = await databaseTime(db);
      const [row] = await db.$queryRaw<{ fileId: string; tries: number; source: TableSource | null }[]>`
        UPDATE file_validations SET claimed_by = ${by}, claimed_until = ${new Date(now.getTime() + leaseMs)}, tries = tries + 1
        WHERE file_id = (
          SELECT file_id FROM file_validations JOIN files ON files.id = file_id
          WHERE done_at IS NULL AND (claimed_until IS NULL OR claimed_until < ${now})
          ORDER BY files.created_at LIMIT 1 FOR UPDATE OF file_validations SKIP LOCKED
        )
        RETURNING file_id AS "fileId", tries, source`;
      if (row === undefined) return null;
      const { filename, storageKey } = await db.file.findUniqueOrThrow({ where: { id: row.fileId }, select: { filename: true, storageKey: true } });
      return { ...row, source: row.source ?? {}, by, filename, storageKey };
    },

    /** Keeps claims for longer. */
    async renew(by: string, leaseMs: number): Promise<void> {
      const claimedUntil = new Date((await databaseTime(db)).getTime() + leaseMs);
      await db.fileValidation.updateMany({ where: { claimedBy: by, doneAt: null }, data: { claimedUntil } });
    },

    /** Gives a file back. @param options.pauseMs how long nobody takes it. @param options.isTry whether it counts as a try */
    async giveBack(claim: Claim, { pauseMs, isTry }: { pauseMs: number; isTry: boolean }): Promise<void> {
      const claimedUntil = new Date((await databaseTime(db)).getTime() + pauseMs);
      await db.fileValidation.updateMany({
        where: claimed(claim),
        data: { claimedBy: null, claimedUntil, ...(!isTry && { tries: { decrement: 1 } }) },
      });
    },

    /** Records the judgement, and with it the file's status and new content, as a whole. @returns false if the claim was lost, or the file is gone */
    finish(claim: Claim, { judged, converted, statusDetails }: Verdict): Promise<boolean> {
      return db.$transaction(async (tx) => {
        const content = judged as unknown as Prisma.InputJsonObject;
        const { count } = await tx.fileValidation.updateMany({
          where: claimed(claim),
          data: { content, doneAt: await databaseTime(tx), claimedBy: null },
        });
        if (count === 0) return false;
        const status = statusDetails === null ? 'processed' : 'error';
        await tx.file.update({ where: { id: claim.fileId }, data: { status, statusDetails, ...converted } });
        return true;
      });
    },

    /** @returns null if the file has not been judged */
    async find(owner: string, fileId: string): Promise<JudgedFile | null> {
      const row = await db.fileValidation.findFirst({ where: { fileId, file: { owner } }, select: { content: true } });
      return (row?.content ?? null) as unknown as JudgedFile | null;
    },
  };
}
