/** Which checkpoints of a job are kept. */
import { saveTotalLimit } from '../formats/hyperparameters.ts';
import type { Checkpoint, Job } from './job.ts';

type Ranked = Pick<Checkpoint, 'step' | 'metrics' | 'problem'>;

/**
 * The checkpoints beyond the job's limit. Kept are, in this order: the newest, from which the job resumes; the one with the lowest loss on the whole
 * validation file; the one before the newest, in case that is damaged; those of epochs' ends; and the rest, each time the newest first.
 * @returns those to remove, newest first
 */
export function surplusCheckpoints<C extends Ranked>(checkpoints: readonly C[], job: Pick<Job, 'hyperparameters' | 'resolved' | 'totalSteps'>): C[] {
  const newestFirst = checkpoints.toSorted((a, b) => b.step - a.step);
  const good = newestFirst.filter(({ problem }) => problem === null);
  const [newest, second] = good;
  const best = good.filter((one) => 'full_valid_loss' in one.metrics).reduce<C | undefined>(lowerLoss, undefined);
  const first = [newest, best, second].filter((one) => one !== undefined);
  const ranked = [...first, ...good.filter((one) => endsEpoch(one, job)), ...good, ...newestFirst];
  const kept = new Set([...new Set(ranked)].slice(0, saveTotalLimit(job.hyperparameters)));
  return newestFirst.filter((one) => !kept.has(one));
}

const lowerLoss = <C extends Ranked>(best: C | undefined, one: C): C =>
  best === undefined || one.metrics['full_valid_loss']! < best.metrics['full_valid_loss']! ? one : best;

function endsEpoch({ step }: Ranked, { totalSteps, resolved }: Pick<Job, 'resolved' | 'totalSteps'>): boolean {
  return totalSteps !== null && resolved !== null && step % (totalSteps / resolved.n_epochs) === 0;
}
