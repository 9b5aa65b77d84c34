import type { Database } from '../database/client.ts';
import { Prisma } from '../generated/prisma/client.ts';
import { newEventId } from '../ids.ts';
import type { Job, NewEvent } from './job.ts';
import { backMessage, countLoss, MAX_LOSSES, type Need, type Outage, pauseMs, startingFrom, tooOftenMessage, waitingMessage } from './setback.ts';

export type SetbackStore = ReturnType<typeof openSetbackStore>;

/** Takes jobs from their workers when a worker is lost or the outside world is away. Each write and its event are one transaction. */
export function openSetbackStore(db: Database) {
  return {
    /**
     * Counts the loss of a job's worker and makes the job wait for another. The job fails if it was lost too often in a row without a newer checkpoint.
     * @param what            the beginning of the event: `The worker was lost`
     * @param options.pauseMs  how long no other worker takes the job; default: not at all
     * @returns what became of the job, or null if the attempt no longer has it
     */
    async lose({ id, attempt }: Pick<Job, 'id' | 'attempt'>, what: string, options: { pauseMs?: number } = {}): Promise<'queued' | 'failed' | null> {
      return db.$transaction(async (tx) => {
        const job = await tx.job.findUnique({ where: { id }, select: { losses: true, lostAtStep: true } });
        if (job === null) return null;
        const newest = await tx.checkpoint.findFirst({ where: { jobId: id, problem: null }, orderBy: { step: 'desc' }, select: { step: true } });
        const counted = countLoss(job, newest?.step ?? 0);
        if (counted.losses < MAX_LOSSES) {
          const resumeAt = options.pauseMs === undefined ? null : new Date(Date.now() + options.pauseMs);
          if (!(await takeBack(tx, { id, attempt }, { ...counted, resumeAt }))) return null;
          await addEvent(tx, id, { level: 'warn', message: `${what}; the job resumes ${startingFrom(newest)}` });
          return 'queued';
        }
        const message = tooOftenMessage(what, counted.losses);
        const error = { code: 'too_many_attempts', message, param: null };
        if (!(await takeBack(tx, { id, attempt }, { ...counted, error, status: 'failed', finishedAt: new Date() }))) return null;
        await addEvent(tx, id, { level: 'error', message: `The job failed: ${message}` });
        return 'failed';
      });
    },

    /**
     * Makes a job wait until something that it needs is back. The event says so once, however often the job is tried in vain.
     * @returns when it is tried again, or null if the attempt no longer has the job
     */
    async wait({ id, attempt }: Pick<Job, 'id' | 'attempt'>, outage: Outage): Promise<Date | null> {
      return db.$transaction(async (tx) => {
        const job = await tx.job.findUnique({ where: { id }, select: { waitingFor: true, waitingSince: true } });
        const now = new Date();
        const since = job?.waitingFor === outage.need && job.waitingSince !== null ? job.waitingSince : now;
        const resumeAt = new Date(now.getTime() + pauseMs(now.getTime() - since.getTime()));
        if (!(await takeBack(tx, { id, attempt }, { waitingFor: outage.need, waitingSince: since, resumeAt }))) return null;
        const data = { waiting_for: outage.need, since: since.toISOString(), retry_at: resumeAt.toISOString() };
        if (since === now) await addEvent(tx, id, { level: 'warn', message: waitingMessage(outage), data });
        return resumeAt;
      });
    },

    /** Ends a wait, with an event: what the job waited for is back. Does nothing if the job does not wait. */
    async endWait({ id, attempt }: Pick<Job, 'id' | 'attempt'>): Promise<void> {
      await db.$transaction(async (tx) => {
        const job = await tx.job.findUnique({ where: { id }, select: { waitingFor: true, waitingSince: true } });
        if (!job?.waitingFor) return;
        const { count } = await tx.job.updateMany({
          where: { id, attempt, workerId: { not: null }, waitingFor: job.waitingFor },
          data: { waitingFor: null, waitingSince: null, resumeAt: null },
        });
        const message = backMessage(job.waitingFor as Need, Date.now() - job.waitingSince!.getTime());
        if (count === 1) await addEvent(tx, id, { level: 'info', message });
      });
    },
  };
}

/** @returns whether the attempt had the job */
async function takeBack(
  tx: Prisma.TransactionClient,
  { id, attempt }: Pick<Job, 'id' | 'attempt'>,
  data: Prisma.JobUpdateManyMutationInput,
): Promise<boolean> {
  const held = { id, attempt, workerId: { not: null } };
  const free = { workerId: null, heartbeatAt: null, estimatedFinish: null, ...data };
  const { count: running } = await tx.job.updateMany({ where: { ...held, status: 'running' }, data: { status: 'queued', ...free } });
  if (running === 1) return true;
  const { count } = await tx.job.updateMany({ where: { ...held, status: { in: ['validating_files', 'queued'] } }, data: free });
  return count === 1;
}

async function addEvent(tx: Prisma.TransactionClient, jobId: string, { level, message, data }: NewEvent): Promise<void> {
  await tx.jobEvent.create({ data: { id: newEventId(), jobId, level, message, type: 'message', data: data ?? Prisma.DbNull } });
}
