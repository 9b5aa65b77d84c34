/** Reads what the database holds about a job, past the service: the service may be down, and must not be trusted. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** Longer than any outage that a row causes. */
const PATIENCE_MS = 150_000;

export interface JobState {
  /** `deleted` if there is no row. */
  status: string;
  attempt: number;
  error: { code: string; message: string } | null;
  recordedSteps: number;
  lastStep: number;
  checkpoints: number;
  events: number;
}

const DELETED: JobState = { status: 'deleted', attempt: 0, error: null, recordedSteps: 0, lastStep: 0, checkpoints: 0, events: 0 };

export interface Truth {
  /** Waits while the database is away. */
  query<Row extends object>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  job(id: string): Promise<JobState>;
  close(): Promise<void>;
}

export function openTruth(databaseUrl: () => Promise<string>): Truth {
  let client: pg.Client | null = null;

  async function connected(): Promise<pg.Client> {
    if (client === null) {
      const opened = new pg.Client({ connectionString: await databaseUrl(), connectionTimeoutMillis: 5_000, query_timeout: 10_000 });
      const forget = () => {
        if (client === opened) client = null;
      };
      opened.on('error', forget);
      opened.on('end', forget);
      await opened.connect();
      client = opened;
    }
    return client;
  }

  async function query<Row extends object>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return (await (await connected()).query<Row>(sql, [...values])).rows;
      } catch (error) {
        await client?.end().catch(() => {});
        client = null;
        if (Date.now() > deadline) throw error;
        await delay(200);
      }
    }
  }

  return {
    query,
    async job(id) {
      const [row] = await query<JobState>(
        `SELECT status::text, attempt, error,
           (SELECT count(*)::int FROM step_metrics WHERE job_id = jobs.id) AS "recordedSteps",
           (SELECT coalesce(max(step), 0)::int FROM step_metrics WHERE job_id = jobs.id) AS "lastStep",
           (SELECT count(*)::int FROM checkpoints WHERE job_id = jobs.id) AS checkpoints,
           (SELECT count(*)::int FROM job_events WHERE job_id = jobs.id) AS events
         FROM jobs WHERE id = $1`,
        [id],
      );
      return row ?? DELETED;
    },
    async close() {
      await client?.end().catch(() => {});
    },
  };
}
