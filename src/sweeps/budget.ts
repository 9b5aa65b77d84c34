/** What the jobs of a sweep have used, and will have used when they have ended. */
import { stepsOf as lengthOf } from '../formats/hyperparameters.ts';
import { quantity } from '../formats/quantity.ts';
import { isFinal } from '../jobs/state.ts';
import type { Budget } from './schema.ts';
import type { SweepJob } from './store.ts';

/** `left`: another job may begin. `unknown`: it is not known yet how long the existing ones will train. */
export type BudgetState = { is: 'left' } | { is: 'unknown' } | { is: 'used'; detail: string };

/** @param tokens  of the steps taken, by the job's id */
export function budgetState(budget: Budget, jobs: readonly SweepJob[], tokens: ReadonlyMap<string, number>): BudgetState {
  const planned = jobs.map((job) => (budget.steps === undefined ? tokensOf(job, tokens) : stepsOf(job)));
  const used = planned.reduce<number>((sum, one) => sum + (one ?? 0), 0);
  const limit = budget.steps ?? budget.tokens ?? 0;
  const noun = budget.steps === undefined ? 'token' : 'step';
  if (used >= limit) return { is: 'used', detail: `The budget of ${quantity(limit, noun)} is used up` };
  return { is: planned.includes(null) ? 'unknown' : 'left' };
}

/** Of a job that has ended, the steps that it took; of another, all that it will take. null: its data has not been read yet */
function stepsOf({ status, step, totalSteps }: SweepJob): number | null {
  if (status === 'succeeded') return totalSteps ?? 0;
  return isFinal(status) ? (step ?? 0) : totalSteps;
}

function tokensOf(job: SweepJob, tokens: ReadonlyMap<string, number>): number | null {
  const taken = tokens.get(job.id) ?? 0;
  if (isFinal(job.status)) return job.trainedTokens ?? taken;
  const training = job.facts?.training;
  if (training === undefined || job.totalSteps === null || job.resolved === null) return null;
  return Math.max(taken, training.tokens * (job.totalSteps / lengthOf(job.resolved, training.examples).perEpoch));
}
