import type { JobError } from '../../src/jobs/job.ts';

/** The job itself is at fault, or what was made of it: it ends failed, with this error. */
export class JobFailed extends Error {
  override readonly name = 'JobFailed';
  constructor(readonly error: JobError) {
    super(error.message);
  }
}
