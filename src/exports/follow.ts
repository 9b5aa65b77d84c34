import type { Readable } from 'node:stream';
import type { Principal } from '../accounts/principal.ts';
import { eventSource } from '../event-streams/feeds.ts';
import { type From, streamEvents } from '../event-streams/stream.ts';
import type { Services } from '../services.ts';
import { type ExportStatus, UNFINISHED } from './export.ts';
import { exportEventView } from './schema.ts';

/** An export's events after the given one as server-sent events. @throws Refusal */
export function followExport(
  { project }: Principal,
  id: string,
  { exportRecord, eventFeeds: feeds }: Pick<Services, 'exportRecord' | 'eventFeeds'>,
  from: From,
): Promise<Readable> {
  const seqOf = (eventId: string) => exportRecord.seqOfEvent(project, id, eventId);
  const isOver = (status: ExportStatus | null) => !UNFINISHED.some((unfinished) => unfinished === status);
  return streamEvents({ feeds, source: eventSource(exportRecord, { view: exportEventView, isOver }), id, noun: 'export', seqOf }, from);
}
