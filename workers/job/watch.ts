import type { Logger } from 'pino';
import type { Job } from '../../src/jobs/job.ts';
import type { JobStore } from '../../src/jobs/store.ts';

/** How soon a cancelled job's process is stopped; also the heartbeat, far below its bound. */
const WATCH_EVERY_MS = 1_000;

export interface JobWatch {
  /** Aborted when the job is not this worker's any more. */
  lost: AbortSignal;
  /** A step is done: where the run stands, for the estimate of its end. */
  progress(step: { step: number; totalSteps: number }): void;
  stop(): Promise<void>;
}

/**
 * Says once a second that the job's worker lives and when it will be done, and hears whether it is still wanted.
 * @param tick runs with each heartbeat
 */
export function watchJob(jobs: JobStore, { id, attempt }: Job, { log, tick }: { log: Logger; tick(): Promise<void> }): JobWatch {
  const lost = new AbortController();
  let first: { step: number; atMs: number } | null = null;
  let estimatedFinish: Date | undefined;
  let timer: NodeJS.Timeout;
  let stopped = false;
  let beating = Promise.resolve();

  async function beat(): Promise<void> {
    try {
      await tick();
      if ((await jobs.heartbeat(id, attempt, estimatedFinish === undefined ? {} : { estimatedFinish })) === null && !stopped) lost.abort();
    } catch (error) {
      // A database that is away for a moment does not end a run; away for longer, the heartbeat's bound gives the job to another.
      log.warn({ err: error }, 'the heartbeat could not be written');
    }
    if (!stopped && !lost.signal.aborted) schedule();
  }
  function schedule(): void {
    timer = setTimeout(() => {
      beating = beat();
    }, WATCH_EVERY_MS);
  }
  schedule();

  return {
    lost: lost.signal,
    progress({ step, totalSteps }) {
      const now = Date.now();
      // From the first step's end on: the first one also warms up.
      first ??= { step, atMs: now };
      if (step > first.step) estimatedFinish = new Date(now + ((now - first.atMs) / (step - first.step)) * (totalSteps - step));
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await beating;
    },
  };
}
