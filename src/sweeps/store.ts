import type { Database } from '../database/client.ts';
import { createdPage } from '../database/created-order.ts';
import { databaseTime } from '../database/time.ts';
import { tombstoneOf } from '../database/tombstones.ts';
import type { Prisma, Sweep as SweepRow } from '../generated/prisma/client.ts';
import type { Page } from '../http/paging.ts';
import type { Job } from '../jobs/job.ts';
import { moveIf } from '../jobs/row-store.ts';
import { finalStatuses } from '../jobs/state.ts';
import type { NewSweep, Outcome, Rung, Sweep, SweepRequest, TrialRefusal } from './sweep.ts';

export type SweepStore = ReturnType<typeof openSweepStore>;

/** What a sweep knows of one of its jobs. */
export type SweepJob = Pick<
  Job,
  'id' | 'status' | 'step' | 'totalSteps' | 'fineTunedModel' | 'error' | 'trainedTokens' | 'pauseAtStep' | 'resolved' | 'facts'
> & {
  sweepIndex: number;
  /** The value of the metric that the job's model has: the newest, or the best where that model is delivered. null before there is one. */
  metric: { step: number; value: number } | null;
};

/** What a comparison does to a job: it trains on up to the next comparison, or to its end, or is cancelled. */
export interface Verdict {
  jobId: string;
  /** null: it is cancelled. */
  resume: { pauseAtStep: number | null } | null;
  /** For the job's events. */
  message: string;
}

/** Methods for users take the owner first and see only that owner's sweeps. */
export function openSweepStore(db: Database) {
  const running = (id: string) => ({ id, status: 'running' });

  return {
    /** @returns the sweep, or the one with this id that was created before */
    async create(owner: string, sweep: NewSweep): Promise<Sweep> {
      const data = { ...sweep, trials: sweep.trials as Prisma.JsonArray, owner, createdAt: await databaseTime(db) };
      const [row] = await db.sweep.createManyAndReturn({ data: [data], skipDuplicates: true });
      return asSweep(row ?? (await db.sweep.findUniqueOrThrow({ where: { id: sweep.id, owner } })));
    },

    running: (owner: string): Promise<number> => db.sweep.count({ where: { owner, status: 'running' } }),

    async find(owner: string, id: string): Promise<Sweep | null> {
      const row = await db.sweep.findUnique({ where: { id, owner } });
      return row && asSweep(row);
    },

    /** Newest first. */
    async list(owner: string, { after, limit }: { after?: string; limit: number }): Promise<Page<Sweep>> {
      const page = await createdPage(
        { after, limit, order: 'desc' },
        {
          find: async (id) =>
            (await db.sweep.findUnique({ where: { id, owner }, select: { id: true, createdAt: true } })) ?? tombstoneOf(db, owner, id),
          many: ({ where, ...order }) => db.sweep.findMany({ where: { owner, ...where }, ...order }),
        },
      );
      return { ...page, data: page.data.map(asSweep) };
    },

    /** From now on no job is created. @returns the sweep, or null if it has ended or is not theirs */
    async cancel(owner: string, id: string): Promise<Sweep | null> {
      const [row] = await db.sweep.updateManyAndReturn({ where: { ...running(id), owner }, data: { status: 'cancelled', waitingFor: null } });
      return row === undefined ? null : asSweep(row);
    },

    /** Its jobs stay. */
    async delete(owner: string, id: string): Promise<boolean> {
      return (await db.$executeRaw`DELETE FROM sweeps WHERE id = ${id} AND owner = ${owner}`) === 1;
    },

    /** Sweeps in which something may be due, whoever owns them. */
    async unfinished(): Promise<Sweep[]> {
      return (await db.sweep.findMany({ where: { finishedAt: null }, orderBy: { createdAt: 'asc' } })).map(asSweep);
    },

    /** @returns null if it has been deleted */
    async reread({ id }: Sweep): Promise<Sweep | null> {
      const row = await db.sweep.findUnique({ where: { id } });
      return row && asSweep(row);
    },

    /** The jobs of a sweep, in the order of its trials. @param compared  the metric they are compared by */
    async jobsOf(sweepId: string, { metric, mode }: Pick<SweepRequest, 'metric' | 'mode'>): Promise<SweepJob[]> {
      const rows = await db.$queryRaw<
        (Omit<SweepJob, 'metric' | 'trainedTokens'> & { trainedTokens: bigint | null; at: number | null; value: number | null })[]
      >`
        SELECT jobs.id, status::text AS status, jobs.step, total_steps AS "totalSteps", fine_tuned_model AS "fineTunedModel", error,
          trained_tokens AS "trainedTokens", pause_at_step AS "pauseAtStep", resolved, facts, sweep_index AS "sweepIndex", newest.step AS at, newest.value
        FROM jobs LEFT JOIN LATERAL (
          SELECT step, (metrics->>${metric})::float8 AS value FROM step_metrics
          WHERE job_id = jobs.id AND metrics ? ${metric}
          ORDER BY CASE WHEN (jobs.hyperparameters->>'load_best_model_at_end')::boolean THEN ${mode === 'min' ? 1 : -1} * (metrics->>${metric})::float8 END,
            step_metrics.step DESC LIMIT 1
        ) AS newest ON TRUE
        WHERE sweep_id = ${sweepId} ORDER BY sweep_index`;
      return rows.map(({ at, value, trainedTokens, ...row }) => ({
        ...row,
        trainedTokens: trainedTokens === null ? null : Number(trainedTokens),
        metric: at === null || value === null ? null : { step: at, value },
      }));
    },

    /** The tokens of the steps that each job has taken, by the job's id. */
    async tokensOf(sweepId: string): Promise<Map<string, number>> {
      const rows = await db.$queryRaw<{ id: string; tokens: number }[]>`
        SELECT job_id AS id, sum((metrics->>'tokens')::float8) AS tokens FROM step_metrics
        WHERE job_id IN (SELECT id FROM jobs WHERE sweep_id = ${sweepId}) GROUP BY job_id`;
      return new Map(rows.map(({ id, tokens }) => [id, tokens]));
    },

    /** How many jobs of each sweep have ended, and how many of these have succeeded. */
    async endedOf(ids: readonly string[]): Promise<Map<string, { ended: number; succeeded: number }>> {
      const rows = await db.job.groupBy({
        by: ['sweepId', 'status'],
        where: { sweepId: { in: [...ids] }, status: { in: [...finalStatuses] } },
        _count: true,
      });
      const counts = new Map<string, { ended: number; succeeded: number }>();
      for (const { sweepId, status, _count: count } of rows) {
        const { ended, succeeded } = counts.get(sweepId!) ?? { ended: 0, succeeded: 0 };
        counts.set(sweepId!, { ended: ended + count, succeeded: succeeded + (status === 'succeeded' ? count : 0) });
      }
      return counts;
    },

    /** Says why the next job is not created yet. */
    async wait({ id }: Sweep, waitingFor: string): Promise<void> {
      await db.sweep.updateMany({ where: { ...running(id), OR: [{ waitingFor: null }, { waitingFor: { not: waitingFor } }] }, data: { waitingFor } });
    },

    /** A trial that no job can be created for. @returns whether this process recorded it */
    async refuse({ id, refused }: Sweep, index: number, refusal: TrialRefusal): Promise<boolean> {
      const all = { ...refused, [index]: { ...refusal } } as Prisma.JsonObject;
      const { count } = await db.sweep.updateMany({ where: { ...running(id), created: index }, data: { created: index + 1, refused: all } });
      return count === 1;
    },

    /**
     * What a comparison decides, for all jobs at once or none: another process decides the same, and one of them is first.
     * @returns whether this process was
     */
    async decide({ id, rung, rungs }: Sweep, decided: Rung, verdicts: readonly Verdict[]): Promise<boolean> {
      return db.$transaction(async (tx) => {
        const data = { rung: rung + 1, rungs: [...rungs, decided] as unknown as Prisma.JsonArray };
        const { count } = await tx.sweep.updateMany({ where: { ...running(id), rung }, data });
        if (count === 0) return false;
        for (const { jobId, resume, message } of verdicts) {
          const moved = { events: [{ level: 'info' as const, message }] };
          if (resume !== null) await tx.job.updateMany({ where: { id: jobId }, data: resume });
          await moveIf(tx, { id: jobId }, resume === null ? 'cancel' : 'resume', moved);
        }
        return true;
      }, DECISION);
    },

    /** @returns whether this process ended it */
    async finish({ id }: Sweep, status: 'succeeded' | 'failed', outcome: Outcome): Promise<boolean> {
      const data = { status, outcome: outcome as unknown as Prisma.JsonObject, waitingFor: null, finishedAt: await databaseTime(db) };
      return (await db.sweep.updateMany({ where: running(id), data })).count === 1;
    },

    /** The last job of a cancelled sweep has ended. */
    async finishCancelled({ id }: Sweep): Promise<void> {
      await db.sweep.updateMany({ where: { id, status: 'cancelled', finishedAt: null }, data: { finishedAt: await databaseTime(db) } });
    },

    /** Sweeps that have ended and whose jobs are gone, by the operator's policy or one by one. @returns how many */
    async forgetEmpty(): Promise<number> {
      return db.$executeRaw`
        DELETE FROM sweeps WHERE finished_at IS NOT NULL AND created > 0 AND NOT EXISTS (SELECT FROM jobs WHERE sweep_id = sweeps.id)
          AND created > (SELECT count(*) FROM jsonb_object_keys(refused))`;
    },
  };
}

/** A thousand jobs move in one transaction. */
const DECISION = { timeout: 60_000 };

const asSweep = (row: SweepRow): Sweep => row as unknown as Sweep;
