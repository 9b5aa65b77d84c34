import { setTimeout as delay } from 'node:timers/promises';
import { startTicks } from '../process-identity.ts';

/** A read of /proc, so it may be often: until a dead server is back, requests fail and jobs wait. */
const LOOK_EVERY_MS = 500;
/** Pause before another start after one that failed; doubles. */
const FIRST_PAUSE_MS = 500;
/** Starts in a row of a server that did not live for `STEADY_MS`. Then something is wrong that another start does not mend, such as a full disk. */
const MAX_STARTS = 6;
const STEADY_MS = 60_000;

export interface Revival {
  /** As in the log, e.g. `Postgres`. */
  name: string;
  pid: number;
  /** Starts the server again, unless another process has done so. @returns the pid of the one that runs */
  start(signal: AbortSignal): Promise<number>;
  log(level: 'warn' | 'error', message: string, error?: unknown): void;
  /** Called once when no further start is tried. */
  onGivenUp(error: Error): void;
}

/** Starts an embedded server again whenever it has ended without being asked to. @returns `stop` ends the watch, not the server */
export function revive({ name, pid: firstPid, start, log, onGivenUp }: Revival): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const pause = (ms: number) => delay(ms, undefined, { signal }).catch(() => {});

  const watching = async () => {
    let pid = firstPid;
    let startedAt = await startTicks(pid);
    let sinceMs = performance.now();
    let starts = 0;
    let why = 'it ended again soon after each start';
    while (!signal.aborted) {
      if (startedAt !== null && (await startTicks(pid)) === startedAt) {
        if (performance.now() - sinceMs > STEADY_MS) starts = 0;
        await pause(LOOK_EVERY_MS);
        continue;
      }
      if (starts === MAX_STARTS) return onGivenUp(new Error(`The embedded ${name} ended and ${MAX_STARTS} starts did not bring it back: ${why}`));
      if (starts === 0) log('error', `the embedded ${name} (pid ${pid}) ended and is started again`);
      else await pause(FIRST_PAUSE_MS * 2 ** (starts - 1));
      starts++;
      try {
        signal.throwIfAborted();
        pid = await start(signal);
        startedAt = await startTicks(pid);
        sinceMs = performance.now();
        log('warn', `the embedded ${name} runs again (pid ${pid})`);
      } catch (error) {
        if (signal.aborted) return;
        why = (error as Error).message;
        log('error', `the embedded ${name} could not be started again (start ${starts} of ${MAX_STARTS})`, error);
      }
    }
  };
  const watched = watching();
  return {
    async stop() {
      stopping.abort();
      await watched;
    },
  };
}
