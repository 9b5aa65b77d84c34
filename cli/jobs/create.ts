import type { Context } from '../context.ts';
import { follow } from '../follow/follow.ts';
import type { Job } from '../types.ts';
import { withUploads } from './files.ts';
import { type JobFlags, requestOf } from './request.ts';

export async function create(options: JobFlags & { follow?: boolean }, context: Context): Promise<void> {
  const { output } = context;
  const request = await requestOf(options);
  const service = await context.service();
  const body = await withUploads(request, { service, output });
  const job = await service.client.post<Job>('/fine_tuning/jobs', { body });
  if (options.follow) {
    output.note(`${job.id} is created`);
    return follow(job.id, context);
  }
  output.result(job, job.id);
  output.note(output.tint('dim', `Watch it: graft jobs follow ${job.id}`));
}
