import type { Services } from '../services.ts';

/** A sweep goes with the last of its jobs. */
export async function sweepSweeps({ sweeps, log }: Pick<Services, 'sweeps' | 'log'>): Promise<void> {
  const gone = await sweeps.forgetEmpty();
  if (gone > 0) log.info({ sweeps: gone }, 'removed sweeps that have no jobs any more');
}
