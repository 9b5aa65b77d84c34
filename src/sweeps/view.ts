import type { Static } from 'typebox';
import { secondsOrNull, unixSeconds } from '../formats/unix-seconds.ts';
import { isFinal } from '../jobs/state.ts';
import type { SweepObject, SweepWithTrials, TrialObject } from './schema.ts';
import type { SweepJob } from './store.ts';
import { requestOf, type Sweep } from './sweep.ts';

/** @param ended how many of its jobs have ended, and how many of these have succeeded */
export function sweepView(sweep: Sweep, ended: { ended: number; succeeded: number }): Static<typeof SweepObject> {
  const { name, base, search, budget, metric, mode } = requestOf(sweep);
  const winner = sweep.outcome?.winner ?? null;
  return {
    id: sweep.id,
    object: 'fine_tuning.sweep',
    created_at: unixSeconds(sweep.createdAt),
    finished_at: secondsOrNull(sweep.finishedAt),
    name: name ?? null,
    status: sweep.status,
    base,
    search,
    budget: budget ?? null,
    seed: sweep.seed,
    metric,
    mode,
    jobs: { total: sweep.trials.length, created: sweep.created - Object.keys(sweep.refused).length, ...ended },
    waiting_for: sweep.waitingFor,
    rungs: sweep.rungs,
    winner: winner && { index: winner.index, job_id: winner.jobId, value: winner.value },
    reason: sweep.outcome?.reason ?? null,
  };
}

export function sweepWithTrials(sweep: Sweep, jobs: readonly SweepJob[]): Static<typeof SweepWithTrials> {
  const byIndex = new Map(jobs.map((job) => [job.sweepIndex, job]));
  const ended = jobs.filter(({ status }) => isFinal(status));
  const counts = { ended: ended.length, succeeded: ended.filter(({ status }) => status === 'succeeded').length };
  return { ...sweepView(sweep, counts), trials: sweep.trials.map((_, index) => trialView(sweep, index, byIndex.get(index))) };
}

function trialView(sweep: Sweep, index: number, job: SweepJob | undefined): Static<typeof TrialObject> {
  const values = sweep.trials[index]!;
  if (job !== undefined)
    return {
      index,
      values,
      job_id: job.id,
      fine_tuned_model: job.fineTunedModel,
      status: job.status,
      step: job.status === 'succeeded' ? job.totalSteps : job.step,
      total_steps: job.totalSteps,
      metric: job.metric,
      error: job.error,
    };
  const error = sweep.refused[index] ?? null;
  const status = error !== null ? 'refused' : index < sweep.created ? 'deleted' : sweep.status === 'running' ? 'pending' : 'not_started';
  return { index, values, job_id: null, fine_tuned_model: null, status, step: null, total_steps: null, metric: null, error };
}
