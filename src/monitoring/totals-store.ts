import type { Database } from '../database/client.ts';
import { now } from '../database/time.ts';
import { finalStatuses, type JobStatus } from '../jobs/state.ts';
import { WORKER_TIMEOUT_MS } from '../models/store.ts';

/** Numbers of the whole service at one moment, whichever process asks. */
export interface Totals {
  jobs: { status: JobStatus; count: number }[];
  /** Of jobs that no worker has: why, how many, and the age of the oldest one that was never begun. */
  waiting: { reason: string; count: number; oldestSeconds: number | null }[];
  /** Of the newest step of each running job; null if none has made a step. */
  running: Record<`${'min' | 'mean' | 'max'}${'Loss' | 'StepSeconds'}` | 'tokensPerSecond', number | null>;
  workers: { alive: number; busy: number };
  trainedTokens: number;
  webhooks: { status: string; count: number }[];
  oldestWebhookSeconds: number | null;
}

export type TotalsStore = ReturnType<typeof openTotalsStore>;

export function openTotalsStore(db: Database) {
  return {
    async read(): Promise<Totals> {
      const [jobs, waiting, [running], [workers], [tokens], webhooks] = await Promise.all([
        db.$queryRaw<Totals['jobs']>`SELECT status::text, count(*)::float8 FROM jobs GROUP BY status`,
        db.$queryRaw<Totals['waiting']>`
          SELECT coalesce(waiting_for, 'slot') AS reason, count(*)::float8,
            max(extract(epoch FROM ${now} - created_at)) FILTER (WHERE attempt = 0)::float8 AS "oldestSeconds"
          FROM jobs WHERE status IN ('validating_files', 'queued') AND worker_id IS NULL GROUP BY 1`,
        db.$queryRaw<Totals['running'][]>`
          SELECT min(loss) AS "minLoss", avg(loss) AS "meanLoss", max(loss) AS "maxLoss",
            min(seconds) AS "minStepSeconds", avg(seconds) AS "meanStepSeconds", max(seconds) AS "maxStepSeconds",
            sum(tokens / nullif(seconds, 0)) AS "tokensPerSecond"
          FROM jobs, LATERAL (
            SELECT (metrics->>'train_loss')::float8 AS loss, (metrics->>'seconds')::float8 AS seconds, (metrics->>'tokens')::float8 AS tokens
            FROM step_metrics WHERE job_id = jobs.id ORDER BY step DESC LIMIT 1
          ) AS newest
          WHERE status = 'running'`,
        db.$queryRaw<Totals['workers'][]>`
          SELECT count(*)::float8 AS alive,
            (count(*) FILTER (WHERE EXISTS (SELECT FROM jobs WHERE worker_id = workers.id AND status::text <> ALL(${[...finalStatuses]}))))::float8 AS busy
          FROM workers WHERE heartbeat_at > ${now} - make_interval(secs => ${WORKER_TIMEOUT_MS / 1000})`,
        db.$queryRaw<{ sum: number }[]>`SELECT coalesce(sum(tokens), 0)::float8 AS sum FROM token_usage`,
        db.$queryRaw<(Totals['webhooks'][number] & { oldestSeconds: number })[]>`
          SELECT status, count(*)::float8, max(extract(epoch FROM ${now} - created_at))::float8 AS "oldestSeconds"
          FROM webhook_deliveries GROUP BY status`,
      ]);
      const pending = webhooks.find(({ status }) => status === 'pending');
      return {
        jobs,
        waiting,
        running: running!,
        workers: workers!,
        trainedTokens: tokens!.sum,
        webhooks: webhooks.map(({ status, count }) => ({ status, count })),
        oldestWebhookSeconds: pending?.oldestSeconds ?? null,
      };
    },
  };
}
