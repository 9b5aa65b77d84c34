import type { Logger } from 'pino';
import type { Device } from '../devices.ts';
import { type ForkedTraining, type ForkOptions, forkTraining } from './forked.ts';

/** Keeps a training process waiting with TensorFlow loaded, so that the next job starts at once. */
export interface SpareProcess {
  /** Starts one unless one is waiting. */
  warm(): void;
  /** @returns the waiting process, or a new one. Its output then goes to the job's log */
  take(jobLog: Logger): ForkedTraining;
  close(): Promise<void>;
}

interface SpareOptions {
  /** The devices that its processes see; only the CPU if there is no GPU among them. */
  devices: readonly Device[];
  /** The environment variables of training processes. */
  environment: Record<string, string>;
  log: Logger;
  fork?(options: ForkOptions): ForkedTraining;
}

export function spareProcess({ devices, environment, log, fork = forkTraining }: SpareOptions): SpareProcess {
  const gpus = devices.filter((device) => device !== null);
  const env = { ...environment, CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: gpus.join(',') };
  let spare: { training: ForkedTraining; log: Logger } | null = null;

  /** The waiting process; replaces one that died while it waited, as when memory runs out. */
  const waiting = () => {
    if (spare !== null && !spare.training.isGone()) return spare;
    const started = { log, training: fork({ env, onOutput: (line) => started.log.debug({ line }, 'training process') }) };
    spare = started;
    return started;
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
