/** Which jobs a worker trains beside each other, on one copy of their base. */
import type { Logger } from 'pino';
import type { Hyperparameters } from '../../src/formats/hyperparameters.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import type { Pace } from '../engine/compiled/together/pace.ts';

/** What has been measured of jobs on a base says little about very different ones, so that it is measured again after this time. */
const REMEMBERED_MS = 3_600_000;

interface BesideOptions {
  services: Pick<Services, 'config' | 'jobs'>;
  workerId: string;
  /** How many further jobs this machine could take now. */
  freeSlots(): number;
  log: Logger;
}

export interface Beside {
  /** Takes jobs to train beside one that has just been taken for the first time. It may be none. */
  claim(job: Job): Promise<Job[]>;
  /** Remembers what has been measured while a job trained beside others. */
  paced(job: Job, pace: Pace): void;
}

export function openBeside({ services: { config, jobs }, workerId, freeSlots, log }: BesideOptions): Beside {
  /** Until when the jobs on a base train alone, because it did not pay to share passes. */
  const alone = new Map<string, number>();

  return {
    async claim(job) {
      const limit = config.jobsTogether - 1;
      if (limit === 0 || !job.mayShareBase || job.attempt > 1 || Date.now() < (alone.get(baseOf(job)) ?? 0)) return [];
      const claimed: Job[] = [];
      try {
        const found = await jobs.findBeside(job, { limit, free: freeSlots() });
        for (const { id } of found.filter((other) => isAlike(other.hyperparameters, job.hyperparameters))) {
          const taken = await jobs.claim(id, workerId);
          if (taken !== null) claimed.push(taken);
        }
      } catch (error) {
        log.warn({ err: error, jobId: job.id }, 'no further job could be taken to train beside this one');
      }
      return claimed;
    },

    paced(job, { isShared }) {
      if (isShared) alone.delete(baseOf(job));
      else alone.set(baseOf(job), Date.now() + REMEMBERED_MS);
    },
  };
}

const baseOf = ({ model, modelRevision }: Job): string => JSON.stringify([model, modelRevision]);

/** Whether jobs have in common what those that share passes must have. */
const isAlike = (one: Hyperparameters, other: Hyperparameters): boolean =>
  (one.precision ?? 'auto') === (other.precision ?? 'auto') &&
  (one.quantization ?? null) === (other.quantization ?? null) &&
  (one.gradient_checkpointing ?? false) === (other.gradient_checkpointing ?? false);
