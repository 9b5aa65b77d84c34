import type { Database } from '../database/client.ts';
import type { StepMetric } from '../jobs/job.ts';

export interface CurveQuery {
  /** Only steps after this one. */
  afterStep: number;
  /** One step of so many is wanted, besides those with an evaluation. */
  every: number;
  limit: number;
}

export type CurveStore = ReturnType<typeof openCurveStore>;

/** Names of metrics that only some steps have, so that none of those may be left out. */
const OF_EVALUATIONS = '^(valid|full_valid|eval)_';

export function openCurveStore(db: Database) {
  return {
    /** Steps with all their metrics, in order: one of every so many, those with an evaluation, and the newest. */
    async steps(owner: string, jobId: string, { afterStep, every, limit }: CurveQuery): Promise<StepMetric[]> {
      return db.$queryRaw<StepMetric[]>`
        SELECT step, metrics FROM step_metrics
        WHERE job_id = (SELECT id FROM jobs WHERE id = ${jobId} AND owner = ${owner}) AND step > ${afterStep}
          AND (
            step % ${every} = 0 OR step = 1
            OR step = (SELECT max(step) FROM step_metrics WHERE job_id = ${jobId})
            OR EXISTS (SELECT 1 FROM jsonb_object_keys(metrics) AS name WHERE name ~ ${OF_EVALUATIONS})
          )
        ORDER BY step LIMIT ${limit}`;
    },
  };
}
