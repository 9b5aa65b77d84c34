import type { Logger } from 'pino';
import type { Device } from '../devices.ts';
import { type ForkedTraining, type ForkOptions, forkTraining } from './forked.ts';

/** A training process that has loaded TensorFlow and waits: the next job starts at once. */
export interface SpareProcess {
  /** Starts it, unless there is one. */
  warm(): void;
  /** @returns the one that waits, or one that starts now; its output goes to the job's log */
  take(jobLog: Logger): ForkedTraining;
  close(): Promise<void>;
}

interface SpareOptions {
  /** What its processes see; the CPU alone where none is a GPU. */
  devices: readonly Device[];
  /** What training processes see of the environment. */
  environment: Record<string, string>;
  log: Logger;
  fork?(options: ForkOptions): ForkedTraining;
}

export function spareProcess({ devices, environment, log, fork = forkTraining }: SpareOptions): SpareProcess {
  const gpus = devices.filter((device) => device !== null);
  const env = { ...environment, CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: gpus.join(',') };
  let spare: { training: ForkedTraining; log: Logger } | null = null;

  /** One that died while it waited, as when memory runs out, is no spare. */
  const waiting = () => {
    if (spare !== null && !spare.training.isGone()) return spare;
    const begun = { log, training: fork({ env, onOutput: (line) => begun.log.debug({ line }, 'training process') }) };
    spare = begun;
    return begun;
  };
  return {
    warm: () => void waiting(),
    take(jobLog) {
      const taken = waiting();
      spare = null;
      taken.log = jobLog;
      return taken.training;
    },
    async close() {
      await spare?.training.kill();
    },
  };
}
