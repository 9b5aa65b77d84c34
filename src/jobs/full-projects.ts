import type { Services } from '../services.ts';

/** One round: says of the waiting jobs of a project that has reached a limit why they wait, and takes it back when that is over. */
export async function explainFullProjects({ demand, quotas }: Pick<Services, 'demand' | 'quotas'>): Promise<void> {
  const full = await quotas.fullProjects();
  await demand.withdrawQuota(full.map(({ id }) => id));
  for (const { id, detail } of full) await demand.explainQuota(id, detail);
}
