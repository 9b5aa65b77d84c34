import type { Job } from '../../src/jobs/job.ts';
import type { Device } from '../devices.ts';

/** One device that trains one job at a time. */
export interface Slot {
  readonly device: Device;
}

/** How many slots a job asks for. */
export const slotsOf = (_job: Job): number => 1;

export interface SlotPool {
  readonly slots: readonly Slot[];
  /** Those that no job has. */
  free(): readonly Slot[];
  /**
   * Waits until this many slots are free. Waiting jobs are served in order of arrival, so jobs that ask for one slot cannot starve a job that asks
   * for several.
   * @returns null if the pool is smaller than that, or the signal is aborted first
   */
  take(count: number, signal: AbortSignal): Promise<Slot[] | null>;
  release(slots: readonly Slot[]): void;
}

interface Waiting {
  count: number;
  answer(slots: Slot[] | null): void;
}

export function slotPool(devices: readonly Device[]): SlotPool {
  const slots = devices.map((device): Slot => ({ device }));
  const free = [...slots];
  const queue: Waiting[] = [];

  function serve(): void {
    while (queue[0] !== undefined && queue[0].count <= free.length) {
      const { count, answer } = queue.shift()!;
      answer(free.splice(0, count));
    }
  }

  return {
    slots,
    free: () => free,
    take(count, signal) {
      if (count > slots.length || signal.aborted) return Promise.resolve(null);
      return new Promise((resolve) => {
        const giveUp = () => {
          queue.splice(queue.indexOf(waiting), 1);
          resolve(null);
          serve(); // jobs behind it may ask for fewer
        };
        const waiting: Waiting = {
          count,
          answer(granted) {
            signal.removeEventListener('abort', giveUp);
            resolve(granted);
          },
        };
        signal.addEventListener('abort', giveUp);
        queue.push(waiting);
        serve();
      });
    },
    release(freed) {
      free.push(...freed);
      serve();
    },
  };
}
