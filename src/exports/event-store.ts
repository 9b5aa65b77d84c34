import type { Database, Transaction } from '../database/client.ts';
import { redacted } from '../formats/secrets.ts';
import type { ExportEvent as EventRow } from '../generated/prisma/client.ts';
import { cursorOf, type Page, pageOf } from '../http/paging.ts';
import { newExportEventId } from '../ids.ts';
import type { ExportEvent, ExportStatus, NewExportEvent } from './export.ts';

export type ExportRecord = ReturnType<typeof openExportRecord>;

/** What happened to exports. Methods for users take the owner first. */
export function openExportRecord(db: Database) {
  const statusOf = async (id: string): Promise<ExportStatus | null> =>
    ((await db.export.findUnique({ where: { id }, select: { status: true } }))?.status as ExportStatus | undefined) ?? null;

  return {
    /** Newest first. */
    async events(owner: string, exportId: string, { after, limit }: { after?: string; limit: number }): Promise<Page<ExportEvent>> {
      const of = { exportId, export: { owner } };
      const cursor = await cursorOf(after, (id) => db.exportEvent.findFirst({ where: { id, ...of }, select: { seq: true } }));
      const where = { ...of, ...(cursor && { seq: { lt: cursor.seq } }) };
      const rows = await db.exportEvent.findMany({ where, orderBy: { seq: 'desc' }, take: limit + 1 });
      return pageOf(rows.map(asEvent), limit);
    },

    /** @returns an event's place among its export's; null if the export has no such event */
    async seqOfEvent(owner: string, exportId: string, id: string): Promise<bigint | null> {
      return (await db.exportEvent.findFirst({ where: { id, exportId, export: { owner } }, select: { seq: true } }))?.seq ?? null;
    },

    /**
     * For those who follow an export of any owner.
     * @returns the events after the given one, oldest first, and the status before they were read; null if the export is gone
     */
    async news(exportId: string, { after, limit }: { after: bigint; limit: number }): Promise<ExportNews> {
      const status = await statusOf(exportId);
      const rows = await db.exportEvent.findMany({ where: { exportId, seq: { gt: after } }, orderBy: { seq: 'asc' }, take: limit });
      return { status, events: rows.map(asEvent) };
    },

    /** The same for the newest events. */
    async newestNews(exportId: string, limit: number): Promise<ExportNews> {
      const status = await statusOf(exportId);
      const rows = await db.exportEvent.findMany({ where: { exportId }, orderBy: { seq: 'desc' }, take: limit });
      return { status, events: rows.reverse().map(asEvent) };
    },
  };
}

export interface ExportNews {
  status: ExportStatus | null;
  events: ExportEvent[];
}

/**
 * Rows of new events, in order. Made before a write that may be repeated: the ids keep each event single. Their messages may quote errors, so no secret
 * passes.
 */
export const exportEventRows = (exportId: string, events: readonly NewExportEvent[]) =>
  events.map(({ level, message }) => ({ id: newExportEventId(), exportId, level, message: redacted(message) }));

/** Adds events in a transaction that has locked the export's row: a follower's cursor would pass over an event that is committed late. */
export async function addExportEvents(tx: Transaction, data: ReturnType<typeof exportEventRows>): Promise<void> {
  await tx.exportEvent.createMany({ data, skipDuplicates: true });
}

const asEvent = ({ level, ...row }: EventRow): ExportEvent => ({ ...row, level: level as ExportEvent['level'] });
