import { quantity } from '../../src/formats/quantity.ts';
import type { Context } from '../context.ts';
import { hasEnded, type Job } from '../types.ts';
import { jobsOf } from './jobs.ts';

export async function cancelSweep(name: string, { service: connect, output }: Context): Promise<void> {
  const service = await connect();
  const open = (await jobsOf(name, service)).filter((job) => !hasEnded(job));
  const cancelled: Job[] = [];
  for (const { id } of open) cancelled.push(await service.client.post<Job>(`/fine_tuning/jobs/${id}/cancel`));
  output.result({ sweep: name, jobs: cancelled }, `${quantity(cancelled.length, 'job')} cancelled`);
}
