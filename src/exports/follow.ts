import type { Readable } from 'node:stream';
import type { Principal } from '../accounts/principal.ts';
import { type EventSource, frameOf } from '../event-streams/feeds.ts';
import { type From, streamEvents } from '../event-streams/stream.ts';
import type { Services } from '../services.ts';
import type { ExportNews, ExportRecord } from './event-store.ts';
import { UNFINISHED } from './export.ts';
import { exportEventView } from './schema.ts';

/** An export's events after the given one as server-sent events. @throws Refusal */
export function followExport(
  { project }: Principal,
  id: string,
  { exportRecord, eventFeeds: feeds }: Pick<Services, 'exportRecord' | 'eventFeeds'>,
  from: From,
): Promise<Readable> {
  const seqOf = (eventId: string) => exportRecord.seqOfEvent(project, id, eventId);
  return streamEvents({ feeds, source: sourceOf(exportRecord), id, noun: 'export', seqOf }, from);
}

const sourceOf = (exportRecord: ExportRecord): EventSource => ({
  news: async (id, options) => asFrames(await exportRecord.news(id, options)),
  newestNews: async (id, limit) => asFrames(await exportRecord.newestNews(id, limit)),
});

const asFrames = ({ status, events }: ExportNews) => ({
  frames: events.map((event) => frameOf(event, exportEventView(event))),
  isOver: !UNFINISHED.some((unfinished) => unfinished === status),
});
