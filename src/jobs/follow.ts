import { setTimeout as delay } from 'node:timers/promises';
import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import type { Services } from '../services.ts';
import { isFinal } from './state.ts';
import { eventView } from './view.ts';

const POLL_EVERY_MS = 500;
/** Proxies drop an idle connection, usually after a minute. */
const KEEP_ALIVE_EVERY_MS = 15_000;
const BATCH_SIZE = 500;

/**
 * A stream after an event that does not exist would begin at the first one again, and its reader would have everything twice.
 * @throws Refusal
 */
export async function requireEvent(
  { project }: Principal,
  jobId: string,
  { after, param }: { after: string; param: string },
  { jobRecord }: Pick<Services, 'jobRecord'>,
): Promise<void> {
  if (await jobRecord.hasEvent(project, jobId, after)) return;
  throw new Refusal('invalid_value', `The job "${jobId}" has no event "${after}" to continue after`, {
    param,
    hint: 'Use the id of an event of this job, or leave it out to begin with the first.',
  });
}

/** Streams a job's events after the given one as server-sent events; ends once the job has ended and all of them are sent. */
export async function* followEvents(
  { project }: Principal,
  jobId: string,
  { jobs, jobRecord }: Pick<Services, 'jobs' | 'jobRecord'>,
  from: { after: string | null; signal: AbortSignal },
): AsyncGenerator<string> {
  let { after } = from;
  let lastSentAt = Date.now();
  while (!from.signal.aborted) {
    // Looked up before the events: whatever happens in between is sent in the next round.
    const job = await jobs.find(project, jobId);
    const events = await jobRecord.eventsSince(project, jobId, after, BATCH_SIZE);
    for (const event of events) yield `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(eventView(event))}\n\n`;
    after = events.at(-1)?.id ?? after;
    if (events.length > 0) lastSentAt = Date.now();
    else if (job === null || isFinal(job.status)) return;
    else if (Date.now() - lastSentAt > KEEP_ALIVE_EVERY_MS) {
      yield ': still here\n\n';
      lastSentAt = Date.now();
    }
    await delay(POLL_EVERY_MS, undefined, { signal: from.signal }).catch(() => {});
  }
}
