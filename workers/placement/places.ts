import type { Logger } from 'pino';
import type { Device } from '../devices.ts';
import type { ForkedTraining, ForkOptions } from '../process/forked.ts';
import { spareProcess } from '../process/spare.ts';
import { slotPool } from './slots.ts';

/** Where one job trains on this machine: the slots that it has, and training processes that see the devices of those alone. */
export interface Place {
  /** A training process that has no job yet. */
  takeProcess(jobLog: Logger): ForkedTraining;
  /** The job's last step is done; its process is needed until its files are delivered and proven. */
  trained(): void;
  /** The job's processes are gone: its slots are free. */
  leave(): void;
}

export interface Places {
  /**
   * How many jobs the worker takes off the queue at once: as many as it has slots, so a job that asks for one slot finds it free. BullMQ knows nothing of
   * slots: a job that asks for several is taken off the queue, unclaimed, and waits here until they are free; jobs that come after it wait behind it.
   */
  readonly mostJobs: number;
  /** Waits for so many slots. @returns null when this machine has fewer, or the worker stops */
  take(slots: number): Promise<Place | null>;
  /** Ends the processes that have no job. */
  close(): Promise<void>;
}

export interface PlacesOptions {
  devices: readonly Device[];
  /** What training processes see of the environment. */
  trainingEnvironment: Record<string, string>;
  /** Aborted when the worker stops: nobody gets a place, and no process is started for the next job. */
  stopping: AbortSignal;
  log: Logger;
  fork?(options: ForkOptions): ForkedTraining;
}

/** The machine's devices as slots, each with a training process that waits for a job. */
export function openPlaces({ devices, trainingEnvironment: environment, stopping, log, fork }: PlacesOptions): Places {
  const pool = slotPool(devices);
  const processOn = (some: readonly Device[]) => spareProcess({ devices: some, environment, log, ...(fork && { fork }) });
  const spares = new Map(pool.slots.map((slot) => [slot, processOn([slot.device])]));
  for (const spare of spares.values()) spare.warm();

  return {
    mostJobs: pool.slots.length,

    async take(count) {
      const slots = await pool.take(count, stopping);
      if (slots === null) return null;
      const own = slots.map((slot) => spares.get(slot)!);
      const used = slots.map(({ device }) => device);
      // A spare sees the device of its slot alone, and would hold that device's memory beside a process that sees all of the job's.
      if (own.length > 1) await Promise.all(own.map((spare) => spare.close()));
      const { take: takeProcess } = own.length === 1 ? own[0]! : processOn(used);
      // While a job trains there is no spare: it would share the job's memory.
      const warm = () => {
        if (!stopping.aborted) for (const spare of own) spare.warm();
      };
      return {
        takeProcess,
        // What a job took of a GPU's memory is free only when its process is gone.
        trained: used.every((device) => device === null) ? warm : () => {},
        leave() {
          pool.giveBack(slots);
          warm();
        },
      };
    },

    async close() {
      await Promise.all([...spares.values()].map((spare) => spare.close()));
    },
  };
}
