/** Which checkpoints of a job are kept. */
import { watchedMetric } from '../formats/best-model.ts';
import { saveTotalLimit, stepsOf } from '../formats/hyperparameters.ts';
import type { Checkpoint, Job } from './job.ts';

type Owning = Pick<Job, 'hyperparameters' | 'evaluations' | 'resolved' | 'totalSteps' | 'facts'>;
type Ranked = Pick<Checkpoint, 'step' | 'metrics' | 'problem'>;

/**
 * The checkpoints beyond the job's limit. Kept are, in this order: the newest, from which the job resumes; the best, by the job's own
 * metric or else the loss on the whole validation file; the one before the newest, in case that is damaged; those of epochs' ends; and the rest, each time the newest first.
 * @returns those to remove, newest first
 */
export function surplusCheckpoints<C extends Ranked>(checkpoints: readonly C[], job: Owning): C[] {
  const newestFirst = checkpoints.toSorted((a, b) => b.step - a.step);
  const good = newestFirst.filter(({ problem }) => problem === null);
  const [newest, second] = good;
  const best = bestOf(good, job);
  const first = [newest, best, second].filter((one) => one !== undefined);
  const ranked = [...first, ...good.filter((one) => endsEpoch(one, job)), ...good, ...newestFirst];
  const kept = new Set([...new Set(ranked)].slice(0, saveTotalLimit(job.hyperparameters)));
  return newestFirst.filter((one) => !kept.has(one));
}

function bestOf<C extends Ranked>(checkpoints: readonly C[], { hyperparameters, evaluations }: Owning): C | undefined {
  const watched = watchedMetric(hyperparameters, evaluations?.map(({ name }) => name) ?? []);
  const { name, greaterIsBetter } = watched ?? { name: 'full_valid_loss', greaterIsBetter: false };
  const ranked = ({ metrics }: C): number => (greaterIsBetter ? -metrics[name]! : metrics[name]!);
  const measured = checkpoints.filter(({ metrics }) => name in metrics);
  return measured.reduce<C | undefined>((best, one) => (best === undefined || ranked(one) < ranked(best) ? one : best), undefined);
}

function endsEpoch({ step }: Ranked, { totalSteps, resolved, facts }: Owning): boolean {
  if (totalSteps === null || resolved === null) return false;
  // The steps of an epoch: with max_steps, the last epoch may be cut short.
  const examples = facts?.training?.examples;
  const perEpoch = examples === undefined ? totalSteps / resolved.n_epochs : stepsOf(resolved, examples).perEpoch;
  return step % perEpoch === 0;
}
