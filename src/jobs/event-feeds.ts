/** The newest events of the jobs that somebody follows: read once for all who follow a job, when Postgres tells of new ones. */
import type { Logger } from 'pino';
import type { Listener } from '../database/listener.ts';
import type { JobRecord } from './record-store.ts';
import { isFinal } from './state.ts';
import { eventFrame } from './view.ts';

/** Where Postgres tells of jobs' events, with the job's id (see the migration "event_notices"). */
export const JOB_EVENTS = 'graft_job_events';

/** Events of a job that are kept in memory for those who follow it; who is further behind reads them from the database. */
const KEPT = 200;
/** Events read from the database, or sent, at once: a slow reader holds no more than these. */
export const EVENTS_AT_ONCE = 100;
/** How often the database is asked while it sends no notices. */
const POLL_EVERY_MS = 2_000;

/** An event as it is sent. */
export interface Frame {
  seq: bigint;
  text: string;
}

/** One follower's view of a job. */
export interface Follower {
  /** @returns the next events after this one, none if there are no newer ones yet; and whether that is all because the job has ended or is gone */
  after(seq: bigint): Promise<{ frames: readonly Frame[]; isEnd: boolean }>;
  /** Waits, at most this long, until there is something after this event. @returns whether there is */
  change(seq: bigint, withinMs: number): Promise<boolean>;
  /** Call it when nobody reads any more; ends a wait. */
  leave(): void;
}

interface Feed {
  kept: Frame[];
  /** All events after this one are kept. */
  keptAfter: bigint;
  last: bigint;
  ended: boolean;
  /** The first read, for which followers wait. */
  begun: Promise<void>;
  reading: boolean;
  /** Whether something may have happened since the read began. */
  stale: boolean;
  wakers: Set<(changed: boolean) => void>;
  followers: number;
}

export interface EventFeeds {
  /** How many follow a job. */
  readonly followers: number;
  follow(jobId: string): Follower;
}

export function openEventFeeds({ jobRecord, listener, log }: { jobRecord: JobRecord; listener: Listener; log: Logger }): EventFeeds {
  const feeds = new Map<string, Feed>();
  let followers = 0;
  let stop: (() => void) | null = null;

  /** Asks the database for what is new, once at a time; whatever happens meanwhile is read after it. */
  async function refresh(jobId: string, feed: Feed): Promise<void> {
    feed.stale = true;
    if (feed.reading) return;
    feed.reading = true;
    try {
      while (feed.stale) {
        feed.stale = false;
        const { status, events } = await jobRecord.news(jobId, { after: feed.last, limit: EVENTS_AT_ONCE });
        add(feed, events.map(framed));
        feed.stale ||= events.length === EVENTS_AT_ONCE;
        feed.ended = !feed.stale && (status === null || isFinal(status));
        for (const wake of feed.wakers) wake(true);
      }
    } catch (error) {
      log.warn({ err: error, jobId }, 'events of a job that is followed could not be read yet');
      feed.stale = true; // the next poll tries again
    } finally {
      feed.reading = false;
    }
  }

  async function begin(jobId: string, feed: Feed): Promise<void> {
    const { status, events } = await jobRecord.newestNews(jobId, KEPT);
    add(feed, events.map(framed));
    if (events.length === KEPT) feed.keptAfter = events[0]!.seq - 1n;
    feed.ended = status === null || isFinal(status);
    feed.reading = false;
    if (feed.stale) await refresh(jobId, feed);
  }

  function feedOf(jobId: string): Feed {
    const known = feeds.get(jobId);
    if (known !== undefined) return known;
    const feed: Feed = {
      kept: [],
      keptAfter: 0n,
      last: 0n,
      ended: false,
      begun: Promise.resolve(),
      reading: true,
      stale: false,
      wakers: new Set(),
      followers: 0,
    };
    feeds.set(jobId, feed);
    stop ??= start();
    feed.begun = begin(jobId, feed);
    // Its followers' streams end, and the next one begins anew.
    feed.begun.catch(() => feeds.delete(jobId));
    return feed;
  }

  function start(): () => void {
    const refreshAll = () => {
      for (const [jobId, feed] of feeds) void refresh(jobId, feed);
    };
    const unsubscribe = listener.subscribe((jobId) => {
      if (jobId === null) return refreshAll();
      const feed = feeds.get(jobId);
      if (feed !== undefined) void refresh(jobId, feed);
    });
    const polling = setInterval(() => {
      if (!listener.isHearing()) return refreshAll();
      // What could not be read when the notice came.
      for (const [jobId, feed] of feeds) if (feed.stale) void refresh(jobId, feed);
    }, POLL_EVERY_MS);
    return () => {
      unsubscribe();
      clearInterval(polling);
    };
  }

  return {
    get followers() {
      return followers;
    },
    follow(jobId) {
      const feed = feedOf(jobId);
      feed.followers++;
      followers++;
      let here = true;
      let wake = (_changed: boolean) => {};
      return {
        async after(seq) {
          await feed.begun;
          if (seq < feed.keptAfter) {
            const { events } = await jobRecord.news(jobId, { after: seq, limit: EVENTS_AT_ONCE });
            if (events.length > 0) return { frames: events.map(framed), isEnd: false };
          }
          const frames = newer(feed.kept, seq).slice(0, EVENTS_AT_ONCE);
          return { frames, isEnd: frames.length === 0 && feed.ended };
        },
        change(seq, withinMs) {
          if (feed.last > seq || feed.ended) return Promise.resolve(true);
          return new Promise((resolve) => {
            const timer = setTimeout(() => wake(false), withinMs);
            wake = (changed) => {
              clearTimeout(timer);
              feed.wakers.delete(wake);
              resolve(changed);
            };
            feed.wakers.add(wake);
          });
        },
        leave() {
          wake(false);
          if (!here) return;
          here = false;
          followers--;
          feed.followers--;
          if (feed.followers === 0 && feeds.get(jobId) === feed) feeds.delete(jobId);
          if (feeds.size > 0) return;
          stop?.();
          stop = null;
        },
      };
    },
  };
}

function add(feed: Feed, frames: readonly Frame[]): void {
  feed.kept.push(...frames);
  feed.last = feed.kept.at(-1)?.seq ?? feed.last;
  const dropped = feed.kept.splice(0, feed.kept.length - KEPT);
  feed.keptAfter = dropped.at(-1)?.seq ?? feed.keptAfter;
}

/** Those after the given one, which is usually near the end. */
function newer(frames: readonly Frame[], seq: bigint): Frame[] {
  let from = frames.length;
  while (from > 0 && frames[from - 1]!.seq > seq) from--;
  return frames.slice(from);
}

const framed = (event: Parameters<typeof eventFrame>[0]): Frame => ({ seq: event.seq, text: eventFrame(event) });
