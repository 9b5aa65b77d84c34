import type { Logger } from 'pino';
import type { Device } from '../devices.ts';
import type { ForkedTraining, ForkOptions } from '../process/forked.ts';
import { spareProcess } from '../process/spare.ts';
import { slotPool } from './slots.ts';

/** Where one job trains on this machine: its slots, and training processes that see only the devices of those slots. */
export interface Place {
  readonly devices: readonly Device[];
  /** A training process that has no job yet. */
  takeProcess(jobLog: Logger): ForkedTraining;
  /** Call when the job's last step is done. Its process is still needed until its files are delivered and proven. */
  trained(): void;
  /** Call when the job's processes have ended: frees its slots. */
  leave(): void;
}

export interface Places {
  /**
   * How many jobs the worker takes off the queue at once: one per slot, so a job that asks for one slot finds it free. BullMQ knows nothing of slots:
   * a job that asks for several leaves the queue unclaimed and waits here until they are free, and later jobs wait behind it.
   */
  readonly maxJobs: number;
  /** Waits for this many slots. @returns null if this machine has fewer, or the worker is stopping */
  take(slots: number): Promise<Place | null>;
  /** How many slots no job has. */
  free(): number;
  /** A GPU on which no job trains; null if all are taken, or this machine has only its CPU. */
  idleDevice(): Device;
  /** Ends the processes that have no job. */
  close(): Promise<void>;
}

export interface PlacesOptions {
  devices: readonly Device[];
  /** The environment variables of training processes. */
  trainingEnvironment: Record<string, string>;
  /** Aborted when the worker stops: then no job gets a place, and no process is started for the next one. */
  stopping: AbortSignal;
  log: Logger;
  fork?(options: ForkOptions): ForkedTraining;
}

/** The machine's devices as slots, each with a training process that waits for a job. */
export function openPlaces({ devices, trainingEnvironment: environment, stopping, log, fork }: PlacesOptions): Places {
  const pool = slotPool(devices);
  const spareOn = (visible: readonly Device[]) => spareProcess({ devices: visible, environment, log, ...(fork && { fork }) });
  const spares = new Map(pool.slots.map((slot) => [slot, spareOn([slot.device])]));
  for (const spare of spares.values()) spare.warm();

  return {
    maxJobs: pool.slots.length,

    async take(count) {
      const slots = await pool.take(count, stopping);
      if (slots === null) return null;
      const slotSpares = slots.map((slot) => spares.get(slot)!);
      const jobDevices = slots.map(({ device }) => device);
      // A spare sees only its slot's device, and would hold memory there beside the process that sees all of the job's devices.
      if (slotSpares.length > 1) await Promise.all(slotSpares.map((spare) => spare.close()));
      const { take: takeProcess } = slotSpares.length === 1 ? slotSpares[0]! : spareOn(jobDevices);
      // No spare waits while a job trains: it would take memory from the job.
      const warm = () => {
        if (!stopping.aborted) for (const spare of slotSpares) spare.warm();
      };
      return {
        devices: jobDevices,
        takeProcess,
        // A job's GPU memory is freed only when its process ends.
        trained: jobDevices.every((device) => device === null) ? warm : () => {},
        leave() {
          pool.release(slots);
          warm();
        },
      };
    },

    free: () => pool.free().length,

    idleDevice: () => pool.free()[0]?.device ?? null,

    async close() {
      await Promise.all([...spares.values()].map((spare) => spare.close()));
    },
  };
}
