import { trainingEnvironment } from '../src/config.ts';
import type { Services } from '../src/services.ts';
import type { ForkedTraining } from '../workers/process/forked.ts';
import { type RunningWorker, startWorker } from '../workers/worker.ts';

const noTraining = () => ({ kill: async () => {}, isGone: () => false, output: () => '' }) as unknown as ForkedTraining;

/** A real worker, for tests of what it does besides training: it exports and it answers. */
export const startWorkerWithoutTraining = (services: Services): Promise<RunningWorker> =>
  startWorker(services, { devices: [null], trainingEnvironment: trainingEnvironment(), fork: noTraining });
