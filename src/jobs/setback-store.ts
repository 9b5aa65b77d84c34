import type { Database, Transaction } from '../database/client.ts';
import { databaseTime } from '../database/time.ts';
import type { Prisma } from '../generated/prisma/client.ts';
import { recordJobEnd } from '../webhooks/outbox-store.ts';
import { eventRows } from './event-rows.ts';
import { type Attempt, writeFenced } from './fenced-write.ts';
import type { NewEvent } from './job.ts';
import { noWait } from './row-store.ts';
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
    async lose(attempt: Attempt, what: string, options: { pauseMs?: number } = {}): Promise<'queued' | 'failed' | null> {
      const { id } = attempt;
      return writeFenced(db, attempt, async (tx) => {
        const job = await tx.job.findUniqueOrThrow({ where: { id }, select: { owner: true, losses: true, lostAtStep: true } });
        const now = await databaseTime(tx);
        const newest = await tx.checkpoint.findFirst({ where: { jobId: id, problem: null }, orderBy: { step: 'desc' }, select: { step: true } });
        const counted = countLoss(job, newest?.step ?? 0);
        if (counted.losses < MAX_LOSSES) {
          const resumeAt = options.pauseMs === undefined ? null : new Date(now.getTime() + options.pauseMs);
          if (!(await takeBack(tx, id, { ...counted, resumeAt }))) return null;
          await addEvent(tx, id, { level: 'warn', message: `${what}; the job resumes ${startingFrom(newest)}` });
          return 'queued';
        }
        const message = tooOftenMessage(what, counted.losses);
        const error = { code: 'too_many_attempts', message, param: null };
        if (!(await takeBack(tx, id, { ...counted, error, status: 'failed', finishedAt: now }))) return null;
        await addEvent(tx, id, { level: 'error', message: `The job failed: ${message}` });
        await recordJobEnd(tx, { owner: job.owner, jobId: id, status: 'failed', at: now });
        return 'failed';
      });
    },

    /**
     * Makes a job wait until something that it needs is back. The event says so once, however often the job is tried in vain.
     * @returns when it is tried again, or null if the attempt no longer has the job
     */
    async wait(attempt: Attempt, outage: Outage): Promise<Date | null> {
      const { id } = attempt;
      return writeFenced(db, attempt, async (tx) => {
        const { columns, event } = await waitOf(tx, id, outage);
        if (!(await takeBack(tx, id, columns))) return null;
        if (event !== null) await addEvent(tx, id, event);
        return columns.resumeAt;
      });
    },

    /** The same for a job that keeps its worker meanwhile. @returns false if the attempt no longer has the job */
    async note(attempt: Attempt, outage: Outage): Promise<boolean> {
      const { id } = attempt;
      const noted = await writeFenced(db, attempt, async (tx) => {
        const { columns, event } = await waitOf(tx, id, outage);
        await tx.job.update({ where: { id }, data: columns });
        if (event !== null) await addEvent(tx, id, event);
        return true;
      });
      return noted !== null;
    },

    /** Ends a wait, with an event: what the job waited for is back. Does nothing if the job does not wait. */
    async endWait(attempt: Attempt): Promise<void> {
      const { id } = attempt;
      await writeFenced(db, attempt, async (tx) => {
        const job = await tx.job.findUniqueOrThrow({ where: { id }, select: { waitingFor: true, waitingSince: true } });
        if (job.waitingFor === null) return;
        await tx.job.update({ where: { id }, data: noWait });
        const waitedMs = (await databaseTime(tx)).getTime() - job.waitingSince!.getTime();
        await addEvent(tx, id, { level: 'info', message: backMessage(job.waitingFor as Need, waitedMs) });
      });
    },
  };
}

/** @returns the columns of a wait, and its event if it is new */
async function waitOf(tx: Transaction, id: string, outage: Outage) {
  const { waitingFor, waitingSince } = await tx.job.findUniqueOrThrow({ where: { id }, select: { waitingFor: true, waitingSince: true } });
  const now = await databaseTime(tx);
  const isNew = waitingFor !== outage.need || waitingSince === null;
  const since = isNew ? now : waitingSince;
  const resumeAt = new Date(now.getTime() + pauseMs(now.getTime() - since.getTime()));
  const data = { waiting_for: outage.need, since: since.toISOString(), retry_at: resumeAt.toISOString() };
  const event: NewEvent | null = isNew ? { level: 'warn', message: waitingMessage(outage), data } : null;
  return { columns: { waitingFor: outage.need, waitingSince: since, resumeAt }, event };
}

/** @returns false for a paused job */
async function takeBack(tx: Transaction, id: string, data: Prisma.JobUpdateManyMutationInput): Promise<boolean> {
  const free = { workerId: null, heartbeatAt: null, estimatedFinish: null, ...data };
  const { count: running } = await tx.job.updateMany({ where: { id, status: 'running' }, data: { status: 'queued', ...free } });
  if (running === 1) return true;
  const { count } = await tx.job.updateMany({ where: { id, status: { in: ['validating_files', 'queued'] } }, data: free });
  return count === 1;
}

async function addEvent(tx: Transaction, jobId: string, event: NewEvent): Promise<void> {
  await tx.jobEvent.createMany({ data: eventRows(jobId, [event]) });
}
