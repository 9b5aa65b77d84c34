/** How the jobs of a sweep are compared. */
import { quantity } from '../formats/quantity.ts';
import { isFinal } from '../jobs/state.ts';
import { rungsOf } from './search.ts';
import type { SweepJob, Verdict } from './store.ts';
import type { Outcome, Rung, Sweep, SweepRequest } from './sweep.ts';

type Compared = Pick<SweepRequest, 'metric' | 'mode'>;

/** The best first; those without a value last. Of equal ones, the first of the sweep's is the better one. */
function ranked<J extends Pick<SweepJob, 'metric' | 'sweepIndex'>>(jobs: readonly J[], { mode }: Compared): J[] {
  const cost = ({ metric }: J) => (metric === null ? Number.POSITIVE_INFINITY : mode === 'min' ? metric.value : -metric.value);
  // Infinities have no difference.
  return jobs.toSorted((a, b) => (cost(a) === cost(b) ? a.sweepIndex - b.sweepIndex : cost(a) < cost(b) ? -1 : 1));
}

/** How many digits tell two losses apart. */
const DIGITS = 5;
const named = (trials: Sweep['trials'], index: number): string =>
  Object.entries(trials[index] ?? {})
    .map(([path, value]) => `${path} ${JSON.stringify(value)}`)
    .join(', ');

/** The end of a sweep whose jobs have all ended. @param budget  what it has used up; null: all of its jobs were created */
export function outcomeOf({ trials }: Pick<Sweep, 'trials'>, jobs: readonly SweepJob[], { metric, mode }: Compared, budget: string | null): Outcome {
  const measured = ranked(
    jobs.filter((job) => job.status === 'succeeded' && job.metric !== null),
    { metric, mode },
  );
  const [best, second] = measured;
  const spent = budget === null ? '' : `. ${budget}, so ${quantity(trials.length - jobs.length, 'job')} of ${trials.length} did not begin`;
  if (best?.metric == null) {
    const succeeded = jobs.filter(({ status }) => status === 'succeeded').length;
    const why = succeeded === 0 ? `none of ${quantity(jobs.length, 'job')} has succeeded` : `no job that has succeeded has the metric ${metric}`;
    return { winner: null, reason: `There is no winner: ${why}${spent}` };
  }
  const superlative = mode === 'min' ? 'lowest' : 'highest';
  const value = best.metric.value.toPrecision(DIGITS);
  const others = second?.metric == null ? '' : `; the next is ${second.metric.value.toPrecision(DIGITS)}, of job ${second.sweepIndex}`;
  const compared = `the ${superlative} ${metric} of ${quantity(measured.length, 'job')} that succeeded`;
  return {
    winner: { index: best.sweepIndex, jobId: best.id, value: best.metric.value },
    reason: `Job ${best.sweepIndex} (${named(trials, best.sweepIndex)}) has ${compared}: ${value}${others}${spent}`,
  };
}

/** @returns whether the job waits to be compared: its worker has stopped after the step, and nobody else has paused it before */
const isAt = ({ status, step, pauseAtStep }: SweepJob): boolean => status === 'paused' && pauseAtStep !== null && (step ?? 0) >= pauseAtStep;

/**
 * The next comparison of a successive halving. Jobs that ended before its step are compared by what they have; only those that still train can be stopped.
 * @returns null while a job has not reached the step
 */
export function comparison(
  sweep: Pick<Sweep, 'rung' | 'trials'>,
  jobs: readonly SweepJob[],
  request: SweepRequest,
): { decided: Rung; verdicts: Verdict[] } | null {
  const rungs = rungsOf(request.search, sweep.trials.length);
  const rung = rungs[sweep.rung];
  if (rung === undefined || !jobs.every((job) => isFinal(job.status) || isAt(job))) return null;
  const left = ranked(
    jobs.filter((job) => job.status === 'succeeded' || isAt(job)),
    request,
  );
  const kept = left.slice(0, rung.keep);
  const stopped = left.slice(rung.keep).filter(isAt);
  const last = sweep.rung + 1 === rungs.length || kept.length === 1;
  const pauseAtStep = last ? null : rungs[sweep.rung + 1]!.step;
  const onward = last ? 'to its end' : `to step ${pauseAtStep}`;
  const place = (job: SweepJob) =>
    `${request.metric} ${job.metric === null ? 'unknown' : job.metric.value.toPrecision(DIGITS)}, place ${left.indexOf(job) + 1} of ${left.length}`;
  return {
    decided: {
      step: rung.step,
      kept: kept.map(({ sweepIndex }) => sweepIndex),
      stopped: stopped.map(({ sweepIndex, metric }) => ({ index: sweepIndex, value: metric?.value ?? null })),
    },
    verdicts: [
      ...kept.filter(isAt).map((job) => ({
        jobId: job.id,
        resume: { pauseAtStep },
        message: `The sweep resumes the job ${onward}: ${place(job)} at step ${rung.step}`,
      })),
      ...stopped.map((job) => ({
        jobId: job.id,
        resume: null,
        message: `The sweep stops the job: ${place(job)} at step ${rung.step}, and the best ${rung.keep} train on`,
      })),
    ],
  };
}
