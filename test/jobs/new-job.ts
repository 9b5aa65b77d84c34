import { newJobId } from '../../src/ids.ts';
import type { NewJob } from '../../src/jobs/job.ts';

/** A job as `createJob` passes it to the store. */
export const newJob = (fields: Partial<NewJob> = {}): NewJob => ({
  id: newJobId(),
  model: 'graft-tiny',
  trainingFileId: 'file-training',
  validationFileId: null,
  suffix: null,
  seed: 7,
  hyperparameters: { n_epochs: 'auto' },
  tuning: { type: 'lora', r: 8 },
  metadata: null,
  ...fields,
});
