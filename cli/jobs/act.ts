import type { Context } from '../context.ts';
import type { Job } from '../types.ts';

/** @param action `pause`, `resume` or `cancel` */
export async function act(action: string, ids: readonly string[], { service, output }: Context): Promise<void> {
  const { client } = await service();
  for (const id of ids) {
    const job = await client.post<Job>(`/fine_tuning/jobs/${encodeURIComponent(id)}/${action}`);
    output.item(job, `${job.id} is ${statusText(job.status)}`);
  }
}

const statusText = (status: Job['status']): string => (status === 'validating_files' ? 'waiting to have its files read' : status);
