import type { Service } from '../service.ts';
import type { Job, List } from '../types.ts';

/** How the jobs of a sweep are found, and which is which. */
export const SWEEP_KEY = 'sweep';
export const RUN_KEY = 'sweep_run';

/** All jobs of the sweep, newest first. */
export async function jobsOf(name: string, { client }: Service): Promise<Job[]> {
  const jobs: Job[] = [];
  for (let after: string | undefined; ; after = jobs.at(-1)!.id) {
    const query = { limit: 100, [`metadata[${SWEEP_KEY}]`]: name, ...(after !== undefined && { after }) };
    const { data, has_more: hasMore } = await client.get<List<Job>>('/fine_tuning/jobs', { query });
    jobs.push(...data);
    if (!hasMore || data.length === 0) return jobs;
  }
}
