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
  /**
   * Waits until so many slots are free. Those who wait are served in the order in which they came: jobs that ask for one slot never keep a job that
   * asks for several from ever having them.
   * @returns null when the pool is smaller than that, or the signal is aborted first
   */
  take(count: number, signal: AbortSignal): Promise<Slot[] | null>;
  giveBack(slots: readonly Slot[]): void;
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
    take(count, signal) {
      if (count > slots.length || signal.aborted) return Promise.resolve(null);
      return new Promise((resolve) => {
        const giveUp = () => {
          queue.splice(queue.indexOf(waiting), 1);
          resolve(null);
          serve(); // those behind may ask for less
        };
        const waiting: Waiting = {
          count,
          answer(given) {
            signal.removeEventListener('abort', giveUp);
            resolve(given);
          },
        };
        signal.addEventListener('abort', giveUp);
        queue.push(waiting);
        serve();
      });
    },
    giveBack(given) {
      free.push(...given);
      serve();
    },
  };
}
