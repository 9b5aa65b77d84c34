/** Jobs that train beside each other in one process. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Fault, plain, type Try } from '../fault.ts';
import { checkSucceeded } from '../invariants.ts';
import { stepsOf } from '../jobs.ts';
import { signal } from '../processes.ts';

/** The first job is taken before the others are there, and trains alone; then the others are taken together. */
const JOBS = 5;
const BEGIN_TIMEOUT_MS = 240_000;

/** Waits until the jobs train beside each other, and then some more. @returns the process @throws Error if they do not */
async function sharedProcess({ service, truth, random, jobIds }: Try): Promise<{ pid: number; parent: number } | null> {
  const beside = jobIds.slice(1);
  for (const deadline = Date.now() + BEGIN_TIMEOUT_MS; ; await delay(100)) {
    const steps = await Promise.all(beside.map(async (id) => (await truth.job(id)).lastStep));
    if (steps.every((step) => step > 0)) break;
    if (Date.now() > deadline) throw new Error('the jobs do not begin');
  }
  const pids = new Set(beside.map((id) => service.trainingPid(id)));
  if (pids.size !== 1) throw new Error(`the jobs have ${pids.size} processes instead of one`);
  await delay(2_000 * random.next());
  return service.processes('training').find(({ pid }) => pids.has(pid)) ?? null;
}

const OPTIONS = { jobs: JOBS, beside: true, length: 'long' } as const;

export const besideFaults: readonly Fault[] = [
  plain(
    'process of four jobs side by side killed',
    async (one) => {
      const training = await sharedProcess(one);
      if (training !== null) signal(training.pid, 'SIGKILL');
    },
    OPTIONS,
  ),

  plain(
    'worker of four jobs side by side killed',
    async (one) => {
      const training = await sharedProcess(one);
      if (training !== null) signal(training.parent, 'SIGKILL');
    },
    OPTIONS,
  ),

  {
    name: 'one of four jobs side by side cancelled',
    ...OPTIONS,
    open: () => ({
      async disturb(one) {
        await sharedProcess(one);
        await one.api.ask('POST', `/fine_tuning/jobs/${one.jobIds[2]}/cancel`).catch(() => {});
      },
      async check(id, one) {
        const { status } = await one.truth.job(id);
        if (id === one.jobIds[2] && status === 'cancelled') return { lost: false, wrongBytes: false, irregular: [] };
        return checkSucceeded(id, { weights: null, steps: stepsOf('long') }, one);
      },
    }),
  },
];
