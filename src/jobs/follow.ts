import type { Readable } from 'node:stream';
import type { Principal } from '../accounts/principal.ts';
import { eventSource } from '../event-streams/feeds.ts';
import { type From, streamEvents } from '../event-streams/stream.ts';
import type { Services } from '../services.ts';
import { isFinal, type JobStatus } from './state.ts';
import { eventView } from './view.ts';

/** A job's events after the given one as server-sent events. @throws Refusal */
export function followEvents(
  { project }: Principal,
  id: string,
  { jobRecord, eventFeeds: feeds }: Pick<Services, 'jobRecord' | 'eventFeeds'>,
  from: From,
): Promise<Readable> {
  const seqOf = (eventId: string) => jobRecord.seqOfEvent(project, id, eventId);
  const isOver = (status: JobStatus | null) => status === null || isFinal(status);
  return streamEvents({ feeds, source: eventSource(jobRecord, { view: eventView, isOver }), id, noun: 'job', seqOf }, from);
}
