import { Readable } from 'node:stream';
import { Refusal } from '../formats/refusal.ts';
import { KEEP_ALIVE_EVERY_MS, STILL_HERE } from '../http/keep-alive.ts';
import type { EventFeeds, EventSource, Follower } from './feeds.ts';

/** The first bytes, for readers that wait for them; a browser's EventSource connects again after this time. */
const BEGIN = 'retry: 1000\n\n';
/** How OpenAI's streams end: their clients stop at this text, and a browser's EventSource, which would connect again, can listen for `done`. */
const END = 'event: done\ndata: [DONE]\n\n';
/** Half of the connections that there may be. */
export const MAX_FOLLOWERS = 1_000;

/** Where a stream of events begins, and how long it may last. */
export interface From {
  /** The id of an event, and the parameter that it came in; null: from the first event on. */
  after: { id: string; param: string } | null;
  /** Aborted when the service stops: streams end without the end mark, so that their readers connect again. */
  signal: AbortSignal;
}

interface Followed {
  feeds: EventFeeds;
  source: EventSource;
  id: string;
  /** What it is, for errors: `job`. */
  noun: string;
  /** @returns an event's place; null if the subject has no such event */
  seqOf(eventId: string): Promise<bigint | null>;
}

/**
 * The events of a subject after the given one as server-sent events, as they are committed. Ends with a mark once the subject has ended and all of them
 * are sent.
 * @throws Refusal for an event that the subject does not have, or when too many streams are open
 */
export async function streamEvents({ feeds, source, id, noun, seqOf }: Followed, { after, signal }: From): Promise<Readable> {
  const seq = after === null ? 0n : await seqOf(after.id);
  // A stream after an event that does not exist would begin at the first one again, and its reader would have everything twice.
  if (seq === null)
    throw new Refusal('invalid_value', `The ${noun} "${id}" has no event "${after?.id}" to continue after`, {
      param: after?.param ?? null,
      hint: `Use the id of an event of this ${noun}, or leave it out to begin with the first.`,
    });
  if (feeds.followers >= MAX_FOLLOWERS)
    throw new Refusal('too_many_streams', `${MAX_FOLLOWERS} streams of events are open, which is the most that this process serves`, {
      hint: 'Try again later, or poll the list of events.',
    });
  const follower = feeds.follow(source, id);
  signal.addEventListener('abort', follower.leave);
  // The generator reads on when the reader has taken what was sent: a slow one holds one batch, and reads what it missed from the database.
  const stream = Readable.from(eventTexts(follower, seq, signal), { objectMode: true, highWaterMark: 1 });
  const { _destroy: endGenerator } = stream;
  // First of all: it ends the wait inside the generator, which would otherwise go on until the next event.
  stream._destroy = (error, callback) => {
    signal.removeEventListener('abort', follower.leave);
    follower.leave();
    endGenerator.call(stream, error, callback);
  };
  return stream;
}

async function* eventTexts(follower: Follower, from: bigint, signal: AbortSignal): AsyncGenerator<string> {
  yield BEGIN;
  let seq = from;
  while (!signal.aborted) {
    const { frames, isEnd } = await follower.after(seq);
    if (isEnd) {
      yield END;
      return;
    }
    if (frames.length > 0) {
      seq = frames.at(-1)!.seq;
      yield frames.map(({ text }) => text).join('');
    } else if (!(await follower.change(seq, KEEP_ALIVE_EVERY_MS)) && !signal.aborted) yield STILL_HERE;
  }
}
