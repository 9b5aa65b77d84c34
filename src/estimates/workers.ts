import type { Static } from 'typebox';
import { announcedName } from '../hub/hub-name.ts';
import type { Job } from '../jobs/job.ts';
import type { Services } from '../services.ts';
import type { FittingWorker } from './schema.ts';

/** How workers announce the model that a job names. */
export const announcedAs = (job: Pick<Job, 'model' | 'modelRevision'>) => ({ id: announcedName(job), revision: job.modelRevision });

/** Which of the running workers have room for a training process of this peak. */
export async function workersThatFit(
  job: Pick<Job, 'model' | 'modelRevision'>,
  peakBytes: number,
  { models }: Pick<Services, 'models'>,
): Promise<Static<typeof FittingWorker>[]> {
  const workers = await models.workersFor(announcedAs(job));
  return workers.map(({ id, device, memoryBytes, hasModel }) => ({
    id,
    device,
    memory_bytes: memoryBytes,
    has_model: hasModel,
    fits: memoryBytes === null ? null : peakBytes <= memoryBytes,
  }));
}
