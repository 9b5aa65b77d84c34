import type { Logger } from 'pino';
import type { DryRun } from '../../src/formats/dry-run.ts';
import type { Job, NewEvent } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import { JobLost } from './endings.ts';
import { saveReport } from './progress.ts';

interface Measured {
  services: Pick<Services, 'jobs' | 'reports'>;
  job: Job;
  log: Logger;
}

/** Records what a dry run measured. Its job has then succeeded, and delivers nothing. @throws JobLost */
export async function endDryRun({ services, job, log }: Measured, measured: DryRun): Promise<void> {
  await saveReport(services, job, 'dry_run', measured);
  const { seconds, memory, tokens_per_second: rate } = measured;
  const found = `${gigabytes(memory.peak_bytes)} of memory, ${rate.toFixed(0)} tokens per second, ${Math.ceil(seconds.total)} s in all`;
  const events: NewEvent[] = [
    { level: 'info', message: `The dry run is done: the job would need ${found}. GET /v1/fine_tuning/jobs/${job.id}/dry_run has the rest` },
  ];
  if ((await services.jobs.move(job.id, 'succeed', { attempt: job.attempt, events })) === null) throw new JobLost();
  log.info({ peakBytes: memory.peak_bytes, tokensPerSecond: rate, seconds: seconds.total }, 'dry run done');
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
