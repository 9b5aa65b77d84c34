/** How a worker's part in a job ends, other than well or with a Refusal, which fails the job. */

/** The job is no longer this worker's: cancelled, deleted, or taken over after a silence. */
export class JobLost extends Error {
  override readonly name = 'JobLost';
}

/** The training process stopped because the worker told it to. */
export class StoppedByWorker extends Error {
  override readonly name = 'StoppedByWorker';
}
