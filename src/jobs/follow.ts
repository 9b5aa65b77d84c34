import type { Readable } from 'node:stream';
import type { Principal } from '../accounts/principal.ts';
import { type EventSource, frameOf } from '../event-streams/feeds.ts';
import { type From, streamEvents } from '../event-streams/stream.ts';
import type { Services } from '../services.ts';
import type { JobRecord, News } from './record-store.ts';
import { isFinal } from './state.ts';
import { eventView } from './view.ts';

/** A job's events after the given one as server-sent events. @throws Refusal */
export function followEvents(
  { project }: Principal,
  id: string,
  { jobRecord, eventFeeds: feeds }: Pick<Services, 'jobRecord' | 'eventFeeds'>,
  from: From,
): Promise<Readable> {
  const seqOf = (eventId: string) => jobRecord.seqOfEvent(project, id, eventId);
  return streamEvents({ feeds, source: sourceOf(jobRecord), id, noun: 'job', seqOf }, from);
}

const sourceOf = (jobRecord: JobRecord): EventSource => ({
  news: async (id, options) => asFrames(await jobRecord.news(id, options)),
  newestNews: async (id, limit) => asFrames(await jobRecord.newestNews(id, limit)),
});

const asFrames = ({ status, events }: News) => ({
  frames: events.map((event) => frameOf(event, eventView(event))),
  isOver: status === null || isFinal(status),
});
