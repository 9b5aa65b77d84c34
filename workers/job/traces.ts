/** A job's spans in its trace. */
import type { Job } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import type { ForkedTraining } from '../process/forked.ts';

interface Traced {
  services: Pick<Services, 'config' | 'tracing'>;
  workerId: string;
}

/** Where a span about a job belongs. */
export const partOfJob = ({ id, attempt, traceParent }: Job, { workerId }: Pick<Traced, 'workerId'>) => ({
  parent: traceParent,
  attributes: { 'graft.job_id': id, 'graft.attempt': attempt, 'graft.worker_id': workerId },
});

/** A later attempt has waited since the one before, whose span shows when it ended. */
export function traceWait(job: Job, { services: { tracing }, workerId }: Traced): void {
  if (job.attempt === 1) tracing.begin('wait in queue', { ...partOfJob(job, { workerId }), kind: 'consumer', startedAt: job.createdAt }).end();
}

/** Makes what a training process does part of the current span. */
export function traceTraining(training: ForkedTraining, { config, tracing }: Traced['services']): void {
  const traceParent = tracing.current();
  if (traceParent !== null) training.trace({ traceParent, serviceName: `${config.tracing!.serviceName}-training` }, tracing.forward);
}
