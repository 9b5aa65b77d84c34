/** The newest events of the jobs and exports that somebody follows: read once for all who follow one, when Postgres tells of new ones. */
import type { Logger } from 'pino';
import type { Listener } from '../database/listener.ts';

/** Where Postgres tells of new events, with the id of what they are of (see the migrations "event_notices" and "export_events"). */
export const EVENT_NOTICES = 'graft_job_events';

/** Events of one subject that are kept in memory for those who follow it; who is further behind reads them from the database. */
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

/** @param view  the event as the API shows it */
export const frameOf = ({ seq }: { seq: bigint }, view: { id: string; type: string }): Frame => ({
  seq,
  text: `id: ${view.id}\nevent: ${view.type}\ndata: ${JSON.stringify(view)}\n\n`,
});

/** Where the events of a kind of subject are read: jobs, exports. */
export interface EventSource {
  /** The events after the given one, oldest first. */
  news(id: string, options: { after: bigint; limit: number }): Promise<News>;
  /** The newest ones, oldest first. */
  newestNews(id: string, limit: number): Promise<News>;
}

/** A record of events, with the state of what they are of. */
interface EventRecord<Status, Event> {
  news(id: string, options: { after: bigint; limit: number }): Promise<{ status: Status; events: readonly Event[] }>;
  newestNews(id: string, limit: number): Promise<{ status: Status; events: readonly Event[] }>;
}

interface Shown<Status, Event> {
  /** An event as the API shows it. */
  view(event: Event): { id: string; type: string };
  /** Whether no further events come in this state. */
  isOver(status: Status): boolean;
}

/** @returns what the feeds read of a record */
export function eventSource<Status, Event extends { seq: bigint }>(
  record: EventRecord<Status, Event>,
  { view, isOver }: Shown<Status, Event>,
): EventSource {
  const asNews = ({ status, events }: { status: Status; events: readonly Event[] }): News => ({
    frames: events.map((event) => frameOf(event, view(event))),
    isOver: isOver(status),
  });
  return {
    news: async (id, options) => asNews(await record.news(id, options)),
    newestNews: async (id, limit) => asNews(await record.newestNews(id, limit)),
  };
}

export interface News {
  frames: Frame[];
  /** Whether the subject had ended, or was gone, before the events were read: then none are missing. */
  isOver: boolean;
}

/** One follower's view of a subject. */
export interface Follower {
  /** @returns the next events after this one, none if there are no newer ones yet; and whether that is all because the subject has ended or is gone */
  after(seq: bigint): Promise<{ frames: readonly Frame[]; isEnd: boolean }>;
  /** Waits, at most this long, until there is something after this event. @returns whether there is */
  change(seq: bigint, withinMs: number): Promise<boolean>;
  /** Call it when nobody reads any more; ends a wait. */
  leave(): void;
}

interface Feed {
  source: EventSource;
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
  /** How many follow something. */
  readonly followers: number;
  follow(source: EventSource, id: string): Follower;
}

export function openEventFeeds({ listener, log }: { listener: Listener; log: Logger }): EventFeeds {
  const feeds = new Map<string, Feed>();
  let followers = 0;
  let stop: (() => void) | null = null;

  /** Asks the database for what is new, once at a time; whatever happens meanwhile is read after it. */
  async function refresh(id: string, feed: Feed): Promise<void> {
    feed.stale = true;
    if (feed.reading) return;
    feed.reading = true;
    try {
      while (feed.stale) {
        feed.stale = false;
        const { isOver, frames } = await feed.source.news(id, { after: feed.last, limit: EVENTS_AT_ONCE });
        add(feed, frames);
        feed.stale ||= frames.length === EVENTS_AT_ONCE;
        feed.ended = !feed.stale && isOver;
        for (const wake of feed.wakers) wake(true);
      }
    } catch (error) {
      log.warn({ err: error, id }, 'events that are followed could not be read yet');
      feed.stale = true; // the next poll tries again
    } finally {
      feed.reading = false;
    }
  }

  async function begin(id: string, feed: Feed): Promise<void> {
    const { isOver, frames } = await feed.source.newestNews(id, KEPT);
    add(feed, frames);
    if (frames.length === KEPT) feed.keptAfter = frames[0]!.seq - 1n;
    feed.ended = isOver;
    feed.reading = false;
    if (feed.stale) await refresh(id, feed);
  }

  function feedOf(source: EventSource, id: string): Feed {
    const known = feeds.get(id);
    if (known !== undefined) return known;
    const feed: Feed = {
      source,
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
    feeds.set(id, feed);
    stop ??= start();
    feed.begun = begin(id, feed);
    // Its followers' streams end, and the next one begins anew.
    feed.begun.catch(() => feeds.delete(id));
    return feed;
  }

  function start(): () => void {
    const refreshAll = () => {
      for (const [id, feed] of feeds) void refresh(id, feed);
    };
    const unsubscribe = listener.subscribe((id) => {
      if (id === null) return refreshAll();
      const feed = feeds.get(id);
      if (feed !== undefined) void refresh(id, feed);
    });
    const polling = setInterval(() => {
      if (!listener.isHearing()) return refreshAll();
      // What could not be read when the notice came.
      for (const [id, feed] of feeds) if (feed.stale) void refresh(id, feed);
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
    follow(source, id) {
      const feed = feedOf(source, id);
      feed.followers++;
      followers++;
      let here = true;
      let wake = (_changed: boolean) => {};
      return {
        async after(seq) {
          await feed.begun;
          if (seq < feed.keptAfter) {
            const { frames } = await source.news(id, { after: seq, limit: EVENTS_AT_ONCE });
            if (frames.length > 0) return { frames, isEnd: false };
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
          if (feed.followers === 0 && feeds.get(id) === feed) feeds.delete(id);
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
