/**
 * How long a stop may take, whatever is open. Who stops the service should allow a little more before a kill: `TimeoutStopSec`, `stop_grace_period`,
 * `terminationGracePeriodSeconds`. A kill loses no job either, but the steps since its last checkpoint.
 */
export const STOP_DEADLINE_MS = 75_000;
/** Part of it for the workers: their jobs finish a step and store a checkpoint. */
export const WORKERS_STOP_MS = 60_000;
/** How long a stop during the start may take: longer than the embedded servers take to start and end, unless a server does not answer. */
export const START_STOP_MS = 10_000;
/** Part of it for requests that were already running, such as uploads. */
export const REQUESTS_STOP_MS = 5_000;

/** Ends this process when the time is over, unless it has ended before. @param onLate called just before */
export function exitWithin(ms: number, onLate: () => void): void {
  setTimeout(() => {
    onLate();
    process.exit(1);
  }, ms).unref();
}
