/** What becomes of a job whose attempt ended with an error: it fails, waits for what is away, or is tried again. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isDatabaseAway, isRefusedByDatabase } from '../../src/database/refused-write.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import { fail, giveBack, letGo } from './endings.ts';
import { outageOf } from './outage.ts';

interface Attempt {
  services: Pick<Services, 'jobs' | 'jobRecord' | 'setbacks'>;
  job: Job;
  stopping: AbortSignal;
  log: Logger;
}

/** Before a job that met an internal error is tried again, so that the same error does not come in a busy loop. */
const PAUSE_MS = 5_000;
const HINT = "The worker's log has the details.";

/** @throws errors of the database */
export async function endAttempt(error: unknown, { services, job, stopping, log }: Attempt): Promise<void> {
  const outage = outageOf(error);
  if (outage === null && error instanceof Refusal) return fail({ services, job, log }, error);
  if (stopping.aborted) return giveBack({ services, job, log });
  if (outage !== null) {
    const resumeAt = await services.setbacks.wait(job, outage);
    log.warn({ err: error, need: outage.need, resumeAt }, 'something outside is away: the job waits');
    return resumeAt === null ? letGo({ services, job }) : undefined;
  }
  if (isRefusedByDatabase(error)) {
    log.error({ err: error }, 'what the job wrote cannot be stored');
    return fail({ services, job, log }, new Refusal('internal_error', 'The database refused what the job recorded', { hint: HINT }));
  }
  log.error({ err: error }, 'the worker could not continue the job');
  const became = await services.setbacks.lose(job, 'The worker could not continue the job because of an internal error', { pauseMs: PAUSE_MS });
  if (became === null) await letGo({ services, job });
}

/** For how long a worker keeps a job whose progress it cannot store: a short outage costs no step, and a long one frees the slot. */
export const PATIENCE_MS = 60_000;
const MIN_RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;

type Patient = Omit<Attempt, 'stopping'> & {
  /** Aborted when the worker has to let go of the job. */
  signal: AbortSignal;
  patienceMs: number;
};

/**
 * Stores what a running job made, and tries again while something outside is away; its training process continues meanwhile. An event says so at once.
 * @throws the error that it is no use to wait for any longer
 */
export async function patiently(store: () => Promise<void>, { services, job, signal, patienceMs, log }: Patient): Promise<void> {
  const untilMs = Date.now() + patienceMs;
  let isNoted = false;
  for (let pauseMs = MIN_RETRY_MS; ; pauseMs = Math.min(MAX_RETRY_MS, 2 * pauseMs)) {
    try {
      await store();
      if (isNoted) await services.setbacks.endWait(job);
      return;
    } catch (error) {
      const outage = outageOf(error);
      if (outage === null || signal.aborted || Date.now() + pauseMs > untilMs) throw error;
      log.warn({ err: error, need: outage.need }, 'something outside is away: what the job made is stored when it is back');
      // If the database is away, the event has to wait for it as well.
      if (!isNoted) isNoted = await services.setbacks.note(job, outage).catch(() => false);
      await delay(pauseMs, undefined, { signal }).catch(() => {});
    }
  }
}

/** How often the database is tried again while it is away; the heartbeat tries as often. */
const RETRY_EVERY_MS = 1_000;

/**
 * Reads or writes even if the database is away at first, for as long as that takes.
 * @throws errors other than that; the last one once the worker stops
 */
export async function persistently<T>(query: () => Promise<T>, { stopping, log }: { stopping: AbortSignal; log: Logger }): Promise<T> {
  for (;;) {
    try {
      return await query();
    } catch (error) {
      if (!isDatabaseAway(error) || stopping.aborted) throw error;
      log.warn({ err: error }, 'the database is away: the worker keeps the job and tries again');
      await delay(RETRY_EVERY_MS);
    }
  }
}
