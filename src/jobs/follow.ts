import { setTimeout as delay } from 'node:timers/promises';
import type { Principal } from '../accounts/principal.ts';
import type { Services } from '../services.ts';
import { isFinal } from './state.ts';
import { eventView } from './view.ts';

const LOOK_EVERY_MS = 500;
/** Proxies drop a silent connection, mostly after a minute. */
const KEEP_ALIVE_EVERY_MS = 15_000;
const AT_ONCE = 500;

/** A job's events as server-sent events, from the one named on; ends when the job is over and all has been told. */
export async function* followEvents(
  { organization }: Principal,
  jobId: string,
  { jobs, jobRecord }: Pick<Services, 'jobs' | 'jobRecord'>,
  from: { after: string | null; signal: AbortSignal },
): AsyncGenerator<string> {
  let { after } = from;
  let saidAt = Date.now();
  while (!from.signal.aborted) {
    // Looked up before the events: what happens in between is told in the next round.
    const job = await jobs.find(organization, jobId);
    const events = await jobRecord.eventsSince(organization, jobId, after, AT_ONCE);
    for (const event of events) yield `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(eventView(event))}\n\n`;
    after = events.at(-1)?.id ?? after;
    if (events.length > 0) saidAt = Date.now();
    else if (job === null || isFinal(job.status)) return;
    else if (Date.now() - saidAt > KEEP_ALIVE_EVERY_MS) {
      yield ': still here\n\n';
      saidAt = Date.now();
    }
    await delay(LOOK_EVERY_MS, undefined, { signal: from.signal }).catch(() => {});
  }
}
