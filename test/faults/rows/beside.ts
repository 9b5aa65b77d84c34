/** Jobs that train beside each other in one process. */
import { setTimeout as delay } from 'node:timers/promises';
import { watchCancels } from '../cancels.ts';
import { type Fault, plain, type Try } from '../fault.ts';
import { checkSucceeded } from '../invariants.ts';
import { BESIDE_STEPS } from '../jobs.ts';
import { type FoundProcess, signal } from '../processes.ts';
import type { JobState } from '../truth.ts';
import { hasEnded } from '../try.ts';

/** The worker takes the first job, with those that are there by then, and the others together once it is free. */
const JOBS = 5;

/** The last moment for a fault, as a part of the steps. */
const LATEST = 0.8;

/** Waits until jobs that train beside each other have done a random number of steps. @throws Error if they do not */
async function sideBySide({ service, truth, random, jobIds }: Try): Promise<{ training: FoundProcess; jobs: string[] }> {
  const step = 1 + Math.floor(random.next() * LATEST * BESIDE_STEPS);
  for (let left = jobIds; left.length > 0; await delay(50)) {
    const states = new Map<string, JobState>();
    for (const id of left) states.set(id, await truth.job(id));
    left = left.filter((id) => !hasEnded(states.get(id)!));
    const moving = left.filter((id) => states.get(id)!.status === 'running' && states.get(id)!.lastStep >= step);
    const found = moving.map((id) => ({ id, training: service.trainingProcess(id) }));
    for (const { training } of found) {
      const jobs = found.filter((other) => training !== null && other.training?.pid === training.pid).map(({ id }) => id);
      if (training !== null && jobs.length > 1) return { training, jobs };
    }
  }
  throw new Error('no jobs train beside each other');
}

/** Started anew for each try, because a worker trains jobs alone for an hour after those on their base have gained nothing together. */
const OPTIONS = { jobs: JOBS, beside: true, fresh: true } as const;

/** @param victim which process is killed */
const killed = (name: string, victim: (training: FoundProcess) => number): Fault =>
  plain(
    name,
    async (one) => {
      const { training, jobs } = await sideBySide(one);
      signal(victim(training), 'SIGKILL');
      one.canContinue(jobs[0]);
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
      const cancels = watchCancels();
      const beside = new Set<string>();
      return {
        async disturb(one) {
          const { jobs } = await sideBySide(one);
          for (const id of jobs) beside.add(id);
          await cancels.cancel(one.random.pick(jobs), one);
        },
        async check(id, one) {
          const cancelled = await cancels.check(id, one);
          if (cancelled !== null) return cancelled;
          const findings = await checkSucceeded(id, { weights: null, steps: BESIDE_STEPS }, one);
          const { attempt } = await one.truth.job(id);
          if (beside.has(id) && attempt > 1) findings.irregular.push(`${id} began again because another job was cancelled`);
          return findings;
        },
      };
    },
  },
];
