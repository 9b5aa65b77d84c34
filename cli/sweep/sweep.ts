import { Failure } from '../exit-code.ts';
import type { Service } from '../service.ts';
import type { List } from '../types.ts';

/** A job of a sweep: what it has in place of what all have, and what became of it. */
export interface Trial {
  index: number;
  values: Record<string, unknown>;
  job_id: string | null;
  status: string;
  step: number | null;
  total_steps: number | null;
  metric: { step: number; value: number } | null;
  error: { message: string } | null;
}

/** A sweep as the service shows it in a list. */
export interface Sweep {
  id: string;
  created_at: number;
  name: string | null;
  status: 'running' | 'succeeded' | 'failed' | 'cancelled';
  metric: string;
  mode: 'min' | 'max';
  jobs: { total: number; created: number; ended: number; succeeded: number };
  waiting_for: string | null;
  winner: { index: number; job_id: string; value: number } | null;
  reason: string | null;
}

export type SweepWithTrials = Sweep & { trials: Trial[] };

const ID = /^ftsweep-[A-Za-z0-9]+$/;
const PAGE = 100;

export const sweepPath = (id: string): string => `/fine_tuning/sweeps/${encodeURIComponent(id)}`;

/** @param sweep  its id, or its name: the newest sweep of that name. @throws Failure if no sweep has it */
export async function idOf(sweep: string, { client }: Service): Promise<string> {
  if (ID.test(sweep)) return sweep;
  for (let after: string | undefined; ; ) {
    const { data, has_more: hasMore } = await client.get<List<Sweep>>('/fine_tuning/sweeps', { query: { limit: PAGE, ...(after && { after }) } });
    const found = data.find(({ name }) => name === sweep);
    if (found !== undefined) return found.id;
    after = data.at(-1)?.id;
    if (!hasMore || after === undefined) throw new Failure(`There is no sweep "${sweep}"`, { hint: 'graft sweep list shows them.' });
  }
}
