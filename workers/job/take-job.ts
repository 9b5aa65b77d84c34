/** How a worker takes a job, and jobs that train beside it. */
import type { Job } from '../../src/jobs/job.ts';
import { namingFailures } from '../../src/object-store/failures.ts';
import { type Seat, sharePlace } from '../placement/shared-place.ts';
import { isAvailable } from './base-model.ts';
import { carryOut } from './supervise.ts';
import type { Supervision } from './supervision.ts';
import { traceWait } from './traces.ts';

/**
 * Takes the job if it is still available, this machine has (or may download) its base model, and the worker has enough slots. Returns when the job
 * has ended, was given back or was lost.
 * @returns whether it took the job, or why it did not
 * @throws errors of the database before the job is taken
 */
export async function superviseJob(jobId: string, supervision: Supervision): Promise<'taken' | 'no_base_model' | 'not_available'> {
  const { services, modelDir, stopping } = supervision;
  const offered = await services.jobs.findAny(jobId);
  if (offered === null || stopping.aborted) return 'not_available';
  const localDir = modelDir(offered);
  if (localDir === null && !isAvailable(offered, supervision)) return 'no_base_model'; // a worker that has the model will be woken
  const place = await supervision.takePlace(offered);
  if (place === null) return 'not_available'; // a worker that has the slots will be woken
  let jobs: Job[] = [];
  try {
    jobs = await claimJobs(jobId, localDir, supervision);
  } finally {
    if (jobs.length === 0) place.leave();
  }
  if (jobs.length === 0) return 'not_available';
  const seats = jobs.length === 1 ? [place] : sharePlace(place, jobs.length, supervision.log);
  const ended = await Promise.allSettled(jobs.map((job, index) => onSeat(job, jobs, { localDir, seat: seats[index]!, supervision })));
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
  return 'taken';
}

/** @returns the job, and those that train beside it; none if the job cannot be claimed */
async function claimJobs(jobId: string, localDir: string | null, { services: { jobs }, workerId, beside }: Supervision): Promise<Job[]> {
  const job = await jobs.claim(jobId, workerId);
  if (job === null) return [];
  return localDir === null || beside === undefined ? [job] : [job, ...(await beside.claim(job))];
}

interface Seated {
  localDir: string | null;
  seat: Seat;
  supervision: Supervision;
}

/** @param all the jobs that share the place, this one included */
async function onSeat(job: Job, all: readonly Job[], { localDir, seat, supervision }: Seated): Promise<void> {
  const { services } = supervision;
  const log = supervision.log.child({ jobId: job.id });
  const beside = all.filter((other) => other !== job).map(({ id }) => id);
  try {
    log.info({ attempt: job.attempt, model: job.model, ...(beside.length > 0 && { beside }) }, 'job taken');
    traceWait(job, supervision);
    const objectStore = namingFailures(services.objectStore);
    await carryOut(job, localDir, { ...supervision, services: { ...services, objectStore }, place: seat, log });
  } finally {
    await seat.leave();
  }
}
