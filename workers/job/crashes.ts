/** Counts how often a job's training process dies without getting any further. */
import type { Logger } from 'pino';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Job } from '../../src/jobs/job.ts';
import { startingFrom } from '../../src/jobs/setback.ts';
import type { Services } from '../../src/services.ts';
import type { TrainingProcessDied } from '../process/died.ts';
import { addEvent } from './progress.ts';

/** After this many crashes in a row without a newer checkpoint the job fails: something in it kills its training process. */
const MAX_CRASHES = 3;

interface Crash {
  died: TrainingProcessDied;
  /** The last lines that the process printed. */
  output: string;
  /** The step that the process had resumed after; 0 for the beginning. */
  startStep: number;
}

/** @returns what to call after each crash. It throws a Refusal when one is one too many, and records an event otherwise */
export function countCrashes(
  { jobRecord }: Pick<Services, 'jobRecord'>,
  job: Pick<Job, 'id' | 'attempt'>,
  log: Logger,
): (crash: Crash) => Promise<void> {
  let crashes = 0;
  return async ({ died: { code, what, how, hint }, output, startStep }) => {
    const newest = await jobRecord.newestCheckpoint(job.id);
    crashes = (newest?.step ?? 0) > startStep ? 1 : crashes + 1;
    log.error({ crashes, how, output }, 'the training process died');
    if (crashes === MAX_CRASHES) throw new Refusal(code, `${what} ${crashes} times without a newer checkpoint`, { hint });
    await addEvent({ jobRecord }, job, { level: 'warn', message: `${what}. It is started again ${startingFrom(newest)}` });
  };
}
