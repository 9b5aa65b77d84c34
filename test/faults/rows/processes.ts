/** Processes that are killed, stopped or put to sleep. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Fault, plain, type Try } from '../fault.ts';
import { signal } from '../processes.ts';

/** Longer than the heartbeat's timeout and the reconciler's round: another worker has the job then. */
const TAKEOVER_MS = 90_000;

const trainingProcess = ({ service, jobId }: Try) => service.trainingProcess(jobId);

function signalAll({ service }: Try, role: Parameters<Try['service']['processes']>[0], name: NodeJS.Signals): void {
  for (const { pid } of service.processes(role!)) signal(pid, name);
}

/** Starts the service again once its API process has ended, as a service manager does. */
async function startAgain({ service }: Try): Promise<void> {
  await service.ended();
  await service.start();
}

export const processFaults: readonly Fault[] = [
  plain('training process killed', async (one) => {
    await one.untilRandomMoment();
    const training = trainingProcess(one);
    if (training !== null) signal(training.pid, 'SIGKILL');
  }),

  plain('worker killed', async (one) => {
    await one.untilRandomMoment();
    signalAll(one, 'worker', 'SIGKILL');
  }),

  plain('API killed', async (one) => {
    await one.untilRandomMoment();
    signalAll(one, 'api', 'SIGKILL');
    one.canContinue();
    await startAgain(one);
  }),

  plain('everything killed', async (one) => {
    await one.untilRandomMoment();
    await one.service.killAll();
    one.canContinue();
    await startAgain(one);
  }),

  plain('SIGTERM to the service', async (one) => {
    await one.untilRandomMoment();
    await one.service.stop();
    one.canContinue();
    await startAgain(one);
  }),

  plain('SIGTERM to the worker', async (one) => {
    await one.untilRandomMoment();
    signalAll(one, 'worker', 'SIGTERM');
  }),

  plain('training process stopped (SIGSTOP)', async (one) => {
    await one.untilRandomMoment();
    const training = trainingProcess(one);
    if (training !== null) signal(training.pid, 'SIGSTOP');
  }),

  plain(
    'worker asleep through its takeover',
    async (one) => {
      await one.untilRandomMoment();
      const training = trainingProcess(one);
      if (training === null) return;
      const asleep = [training.pid, training.parent];
      const { attempt } = await one.truth.job(one.jobId);
      for (const pid of asleep) signal(pid, 'SIGSTOP');
      one.canContinue();
      const deadline = Date.now() + TAKEOVER_MS;
      while (Date.now() < deadline && (await one.truth.job(one.jobId)).attempt === attempt) await delay(200);
      await delay(one.random.next() * 3_000);
      for (const pid of asleep) signal(pid, 'SIGCONT');
    },
    { workers: 2 },
  ),

  plain(
    'ten graceful restarts and one kill',
    async (one) => {
      for (let restart = 0; restart < 10; restart++) {
        await one.untilProgress();
        signalAll(one, 'worker', 'SIGTERM');
      }
      await one.untilProgress();
      signalAll(one, 'worker', 'SIGKILL');
    },
    { length: 'long' },
  ),

  plain(
    'five deaths of the training process, each after a checkpoint',
    async (one) => {
      for (let death = 0; death < 5; death++) {
        await one.untilCheckpoint();
        const training = trainingProcess(one);
        if (training !== null) signal(training.pid, 'SIGKILL');
      }
    },
    { length: 'long' },
  ),

  plain(
    'twelve deaths of the worker, each after a checkpoint',
    async (one) => {
      for (let death = 0; death < 12; death++) {
        await one.untilCheckpoint();
        signalAll(one, 'worker', 'SIGKILL');
      }
    },
    { length: 'long' },
  ),
];
