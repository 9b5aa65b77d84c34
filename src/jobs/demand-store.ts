import type { Database } from '../database/client.ts';
import { databaseTime } from '../database/time.ts';
import type { Prisma } from '../generated/prisma/client.ts';
import type { Job, NewEvent } from './job.ts';
import { addEvents, asJob, dueAt, isDue } from './row-store.ts';
import { backMessage, type Lack, type Need, type Outage, waitingMessage } from './setback.ts';
import { finalStatuses } from './state.ts';

export type DemandStore = ReturnType<typeof openDemandStore>;

/** A base model as jobs name it. */
export type DemandedModel = Pick<Job, 'model' | 'modelRevision'>;

/** Jobs explained in one round; the rest waits for the next one. */
const MAX_PER_ROUND = 1_000;

/** Which base models unfinished jobs ask for, and what is said of those that nobody can take. */
export function openDemandStore(db: Database) {
  return {
    /** The models of all jobs that have not ended. */
    async unfinished(): Promise<DemandedModel[]> {
      const rows = await db.job.groupBy({ by: ['model', 'modelRevision'], where: { status: { notIn: [...finalStatuses] } } });
      return rows;
    },

    /** For each model, the job that has waited longest for a worker. */
    async oldestOfEachModel(): Promise<(DemandedModel & Pick<Job, 'id'>)[]> {
      return db.$queryRaw`
        SELECT DISTINCT ON (model, model_revision) id, model, model_revision AS "modelRevision" FROM jobs
        WHERE ${isDue}
        ORDER BY model, model_revision, created_at, id`;
    },

    /** Says of every waiting job on this model why nobody takes it: in its row, and once as an event. @returns how many learn it now */
    async explain(model: DemandedModel, outage: Outage & { need: Lack }): Promise<number> {
      return tell(onModel(model), { from: null, to: outage.need, event: () => ({ level: 'warn', message: waitingMessage(outage) }) });
    },

    /** Takes that back for jobs that still wait although they could be taken. */
    async withdraw(model: DemandedModel, lack: Lack): Promise<number> {
      return tell(onModel(model), { from: lack, to: null, event: (waitedMs) => ({ level: 'info', message: backMessage(lack, waitedMs) }) });
    },

    /** Says of every waiting job of this project which of its limits keeps it from being begun. */
    async explainQuota(owner: string, detail: string): Promise<void> {
      await tell({ owner }, { from: null, to: 'quota', event: () => ({ level: 'info', message: waitingMessage({ need: 'quota', detail }) }) });
    },

    /** Takes that back for the jobs of all projects but those that are still full. */
    async withdrawQuota(full: string[]): Promise<void> {
      const event = (waitedMs: number): NewEvent => ({ level: 'info', message: backMessage('quota', waitedMs) });
      await tell({ owner: { notIn: full } }, { from: 'quota', to: null, event });
    },
  };

  async function tell(which: Prisma.JobWhereInput, { from, to, event }: Told): Promise<number> {
    const now = await databaseTime(db);
    const where = { ...dueAt(now), ...which, waitingFor: from };
    const jobs = await db.job.findMany({ where, take: MAX_PER_ROUND, select: { id: true, waitingSince: true } });
    let count = 0;
    for (const { id, waitingSince } of jobs) {
      // One by one: a worker may take some of them in the meantime.
      await db.$transaction(async (tx) => {
        const data = { waitingFor: to, waitingSince: to && now };
        const [row] = await tx.job.updateManyAndReturn({ where: { ...where, id }, data });
        if (row === undefined) return;
        await addEvents(tx, asJob(row), [event(now.getTime() - (waitingSince ?? now).getTime())]);
        count++;
      });
    }
    return count;
  }
}

const onModel = ({ model, modelRevision }: DemandedModel): Prisma.JobWhereInput => ({ model, modelRevision });

interface Told {
  from: Need | null;
  to: Need | null;
  event(waitedMs: number): NewEvent;
}
