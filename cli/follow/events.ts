/** A job's events as they happen, however often the connection or the service goes away. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Stream } from 'openai/streaming';
import { isPassing } from '../reported.ts';
import type { Service } from '../service.ts';
import { hasEnded, type Job, type JobEvent } from '../types.ts';

/** From the first failure to the last: the wait doubles. */
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
/** A service that is away for longer will not be back soon. */
const GIVE_UP_AFTER_MS = 10 * 60_000;

interface Following {
  service: Service;
  signal: AbortSignal;
  /** The job, whenever it was read. */
  onJob(job: Job): void;
  /** The service went away; null: it is back. */
  onTrouble(error: unknown): void;
}

/**
 * Yields every event once, in order, until the job has ended and all were read.
 * @throws APIError when the service answers that there is no such job, or does not answer at first, or stays away
 */
export async function* followEvents(jobId: string, { service: { client }, signal, onJob, onTrouble }: Following): AsyncGenerator<JobEvent> {
  const path = `/fine_tuning/jobs/${encodeURIComponent(jobId)}`;
  let last: string | null = null;
  let away: { sinceMs: number; waitMs: number } | null = null;
  let isFirst = true;
  while (!signal.aborted) {
    try {
      const job = await client.get<Job>(path, { signal, maxRetries: 0 });
      onJob(job);
      isFirst = false;
      const headers = last === null ? {} : { 'last-event-id': last };
      // The client reads server-sent events, and stops at the mark that ends them.
      const events = (await client.get(`${path}/events`, {
        query: { stream: true },
        stream: true,
        headers,
        signal,
        maxRetries: 0,
      })) as unknown as Stream<JobEvent>;
      if (away !== null) onTrouble(null);
      away = null;
      for await (const event of events) {
        last = event.id;
        yield event;
      }
      // A stream that was begun after the end has told everything.
      if (hasEnded(job)) return;
    } catch (error) {
      if (signal.aborted) return;
      away ??= { sinceMs: Date.now(), waitMs: FIRST_WAIT_MS };
      if (isFirst || !isPassing(error) || Date.now() - away.sinceMs > GIVE_UP_AFTER_MS) throw error;
      onTrouble(error);
      await delay(away.waitMs, undefined, { signal }).catch(() => {});
      away.waitMs = Math.min(LONGEST_WAIT_MS, away.waitMs * 2);
    }
  }
}
