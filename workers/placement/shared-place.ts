/** One place for several jobs that train on one base, in one process. */
import type { Logger } from 'pino';
import type { ForkedTraining } from '../process/forked.ts';
import type { Place } from './places.ts';

/** A place that jobs may share. */
export interface Seat extends Omit<Place, 'takeProcess' | 'leave'> {
  /** As a place's; null once the process that is shared has been taken: whoever needs another one trains alone. */
  takeProcess(jobLog: Logger): ForkedTraining | null;
  /** Resolves when the seat's run has ended. */
  leave(): void | Promise<void>;
}

/**
 * @param jobs how many
 * @param log  of the process, whose output tells of all of them
 * @returns a seat for each
 */
export function sharePlace(place: Place, jobs: number, log: Logger): Seat[] {
  let runs: ForkedTraining[] | null = null;
  const training = new Set(Array(jobs).keys());
  const seated = new Set(training);
  /** Seats that were left without a process. */
  const unused = new Set<number>();

  function runOf(seat: number): ForkedTraining {
    if (runs === null) {
      runs = place.takeProcess(log).share(jobs);
      for (const left of unused) void runs[left]!.kill();
    }
    return runs[seat]!;
  }
  function trained(seat: number): void {
    if (training.delete(seat) && training.size === 0) place.trained();
  }
  return [...training].map((seat): Seat => {
    let isTaken = false;
    return {
      devices: place.devices,
      takeProcess() {
        if (isTaken) return null;
        isTaken = true;
        return runOf(seat);
      },
      trained: () => trained(seat),
      async leave() {
        if (!isTaken) unused.add(seat);
        if (runs !== null) await runs[seat]!.kill();
        trained(seat);
        seated.delete(seat);
        if (seated.size === 0) place.leave();
      },
    };
  });
}
