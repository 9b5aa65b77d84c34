/** Jobs that train beside each other in one process. */
import { setTimeout as delay } from 'node:timers/promises';
import { ask } from '../ask.ts';
import { type Fault, plain, type Try } from '../fault.ts';
import { checkSucceeded } from '../invariants.ts';
import { stepsOf } from '../jobs.ts';
import { type FoundProcess, signal } from '../processes.ts';

/** The worker takes the first job, with those that are there by then, and the others together once it is free. */
const JOBS = 5;
const BEGIN_TIMEOUT_MS = 240_000;

/** Waits until jobs train beside each other, and then some more. @throws Error if they do not */
async function sideBySide({ service, truth, random, jobIds }: Try): Promise<{ training: FoundProcess | null; jobs: string[] }> {
  for (const deadline = Date.now() + BEGIN_TIMEOUT_MS; Date.now() < deadline; await delay(100)) {
    const training: string[] = [];
    for (const id of jobIds) {
      const { status, lastStep } = await truth.job(id);
      if (status === 'running' && lastStep > 0) training.push(id);
    }
    const pidOf = (id: string) => service.trainingProcess(id)?.pid;
    const shared = training.map(pidOf).find((pid, index, pids) => pids.indexOf(pid) < index);
    if (shared === undefined) continue;
    const jobs = training.filter((id) => pidOf(id) === shared);
    await delay(500 * random.next());
    return { training: service.processes('training').find(({ pid }) => pid === shared) ?? null, jobs };
  }
  throw new Error('no jobs train beside each other');
}

const OPTIONS = { jobs: JOBS, beside: true } as const;

/** @param victim which process is killed */
const killed = (name: string, victim: (training: FoundProcess) => number): Fault =>
  plain(
    name,
    async (one) => {
      const { training } = await sideBySide(one);
      if (training !== null) signal(victim(training), 'SIGKILL');
    },
    OPTIONS,
  );

export const besideFaults: readonly Fault[] = [
  killed('process of jobs side by side killed', ({ pid }) => pid),
  killed('worker of jobs side by side killed', ({ parent }) => parent),

  {
    name: 'one of the jobs side by side cancelled',
    ...OPTIONS,
    open() {
      let cancelled: string | undefined;
      return {
        async disturb(one) {
          const { jobs } = await sideBySide(one);
          const chosen = one.random.pick(jobs);
          cancelled = (await ask(one.api, chosen, 'cancel')) ? chosen : undefined;
        },
        async check(id, one) {
          const { status } = await one.truth.job(id);
          if (id === cancelled) return { lost: status !== 'cancelled', wrongBytes: false, irregular: [] };
          return checkSucceeded(id, { weights: null, steps: stepsOf('short') }, one);
        },
      };
    },
  },
];
