/** A job as a worker records it, without the training. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Job, StepMetric } from '../../src/jobs/job.ts';
import type { RunningService } from '../running-service.ts';

/** More than the pause after one failed attempt, so that the next one is due. */
const PAUSE_MS = 6_000;
export const sleepUntilDue = () => delay(PAUSE_MS);

export const stepsFrom = (first: number, last: number): StepMetric[] =>
  Array.from({ length: last - first + 1 }, (_, index) => {
    const step = first + index;
    return {
      step,
      metrics: { train_loss: 4 / step, learning_rate: 1e-4, tokens: 64, seconds: 0.25, ...(step % 50 === 0 && { full_valid_loss: 5 / step }) },
    };
  });

/** @returns a job that a worker has begun */
export async function begunJob(service: RunningService, { integrations, steps }: { integrations: object[]; steps: number }): Promise<Job> {
  const training_file = await service.upload();
  const { jobs } = service.services;
  const created = await service.client.fineTuning.jobs.create({ model: 'graft-tiny', training_file, seed: 7, integrations } as never);
  const job = (await jobs.claim(created.id, 'worker-test'))!;
  const resolved = { n_epochs: 3, batch_size: 4, learning_rate: 1e-4 } as never;
  return (await jobs.begin(job, { read: { patch: { resolved, totalSteps: steps } }, start: {} }))!;
}
