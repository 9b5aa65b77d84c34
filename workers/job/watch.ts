import type { Logger } from 'pino';
import type { Job } from '../../src/jobs/job.ts';
import type { JobStore } from '../../src/jobs/store.ts';

/** How soon the process of a job that was cancelled or paused is stopped. Also the heartbeat interval, far below the heartbeat timeout. */
const WATCH_EVERY_MS = 1_000;

export interface JobWatch {
  /** Aborted when the job no longer belongs to this worker. */
  lost: AbortSignal;
  /** Aborted when the job was paused: write a checkpoint and let go of it, even if it has been resumed since. */
  paused: AbortSignal;
  /** Call while the data is read. @param readyMs when it will have been read; null: when it has been, or nobody knows */
  preparing(readyMs: number | null): void;
  /** Call when the job's status has become `running`. */
  started(): void;
  /** Call after each step: updates the estimate of when the run ends. */
  progress(step: { step: number; totalSteps: number }): void;
  stop(): Promise<void>;
}

interface WatchOptions {
  log: Logger;
  /** Runs with each heartbeat. */
  tick(): Promise<void>;
  /** How long the steps take that are still to be done, as an earlier attempt timed them; 0 if none did. */
  stepsMs: number;
}

/** Once a second, writes the job's heartbeat and estimated finish, and checks that the job still belongs to this worker. */
export function watchJob(jobs: JobStore, { id, attempt }: Job, { log, tick, stepsMs }: WatchOptions): JobWatch {
  const lost = new AbortController();
  const paused = new AbortController();
  let running = false;
  let first: { step: number; atMs: number } | null = null;
  let estimatedFinish: Date | null | undefined;
  let lastStep: number | undefined;
  let timer: NodeJS.Timeout;
  let stopped = false;
  let beating = Promise.resolve();
  let ticking: Promise<void> | null = null;

  async function beat(): Promise<void> {
    try {
      const wasRunning = running;
      const job = await jobs.heartbeat(id, attempt, {
        ...(estimatedFinish !== undefined && { estimatedFinish }),
        ...(lastStep !== undefined && { step: lastStep }),
      });
      // A job that waits although it was running has been paused and resumed since the last heartbeat.
      if (job?.status === 'paused' || (job !== null && wasRunning && job.status !== 'running')) pause();
      if (job !== null) work();
      else if (!stopped) lost.abort();
    } catch (error) {
      // A short database outage does not end a run. After a long one the heartbeat is too old and another worker takes the job.
      log.warn({ err: error }, 'the heartbeat could not be written');
    }
    if (!stopped && !lost.signal.aborted) schedule();
  }
  /** Beside the heartbeats: a write that is slow, or is tried again, must not make the worker look dead. */
  function work(): void {
    ticking ??= tick()
      .catch((error: unknown) => log.warn({ err: error }, 'the steps so far could not be written'))
      .finally(() => {
        ticking = null;
      });
  }
  function pause(): void {
    estimatedFinish = null;
    paused.abort();
  }
  function schedule(): void {
    timer = setTimeout(() => {
      beating = beat();
    }, WATCH_EVERY_MS);
  }
  schedule();

  return {
    lost: lost.signal,
    paused: paused.signal,
    started() {
      running = true;
    },
    preparing(readyMs) {
      if (paused.signal.aborted) return;
      if (readyMs !== null) estimatedFinish = new Date(readyMs + stepsMs);
      // Opening the model and the first step are not timed yet.
      else if (estimatedFinish !== undefined) estimatedFinish = stepsMs > 0 ? new Date(Date.now() + stepsMs) : null;
    },
    progress({ step, totalSteps }) {
      lastStep = step;
      if (paused.signal.aborted) return;
      const now = Date.now();
      // Timed from the end of the first step, which also warms up.
      first ??= { step, atMs: now };
      if (step > first.step) estimatedFinish = new Date(now + ((now - first.atMs) / (step - first.step)) * (totalSteps - step));
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await beating;
      await ticking;
    },
  };
}
