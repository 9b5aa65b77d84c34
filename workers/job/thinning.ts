import { saveTotalLimit } from '../../src/formats/hyperparameters.ts';
import type { Attempt } from '../../src/jobs/fenced-write.ts';
import { surplusCheckpoints } from '../../src/jobs/kept-checkpoints.ts';
import type { Services } from '../../src/services.ts';
import { JobLost } from './endings.ts';

type Needs = Pick<Services, 'jobs' | 'retention' | 'objectStore'>;

/** Removes the checkpoints beyond the job's limit. @throws JobLost */
export async function thinCheckpoints({ jobs, retention, objectStore }: Needs, attempt: Attempt): Promise<void> {
  const job = await jobs.findAny(attempt.id); // with its number of steps, which was not known when the worker took it
  if (job === null) throw new JobLost();
  const surplus = surplusCheckpoints(await retention.checkpoints(job.id), job);
  if (surplus.length === 0) return;
  const steps = surplus.map(({ step }) => step);
  const message = `Removed the checkpoint at step ${steps.join(', ')}: save_total_limit is ${saveTotalLimit(job.hyperparameters)}`;
  if (!(await retention.thin(attempt, { steps, message }))) throw new JobLost();
  // No row names these folders any more, so the sweep of stored objects removes what stays now.
  for (const { folder } of surplus) await objectStore.deletePrefix(folder).catch(() => {});
}
