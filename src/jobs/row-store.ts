/** A job's row: how it is read, and how its status changes. */
import type { Transaction } from '../database/client.ts';
import { databaseTime } from '../database/time.ts';
import { parseJsonValue } from '../formats/json-value.ts';
import { type Job as JobRow, Prisma } from '../generated/prisma/client.ts';
import { resumeRuns } from '../integrations/run-store.ts';
import { keys } from '../object-store/keys.ts';
import { recordJobEnd } from '../webhooks/outbox-store.ts';
import { eventRows } from './event-rows.ts';
import type { Job, JobPatch, NewEvent } from './job.ts';
import { isFinal, type MoveName, moves } from './state.ts';

/** What a move writes besides the status, and the events that report it. */
export interface Moved {
  patch?: JobPatch;
  events?: NewEvent[] | ((job: Job) => NewEvent[]);
}

/** Moves the job if its current status allows it, and adds the events of the move: the database decides who wins a race. */
export async function moveIf(
  tx: Transaction,
  where: Prisma.JobWhereInput,
  name: MoveName,
  { patch = {}, events = [] }: Moved = {},
): Promise<Job | null> {
  const { from, to } = moves[name];
  const now = await databaseTime(tx);
  const [row] = await tx.job.updateManyAndReturn({
    where: { ...where, status: { in: [...from] } },
    data: {
      ...asColumns(patch),
      status: to,
      ...(name === 'start' && { startedAt: now }),
      ...(name === 'requeue' && { workerId: null, heartbeatAt: null, estimatedFinish: null }),
      ...(to === 'paused' && { estimatedFinish: null }),
      ...((isFinal(to) || isByHand(name)) && { ...noLosses, ...noWait }),
      ...(isFinal(to) && { finishedAt: now, estimatedFinish: null, workerId: null, heartbeatAt: null }),
    },
  });
  if (row === undefined) return null;
  const job = asJob(row);
  await addEvents(tx, job, events);
  if (isByHand(name)) await resumeRuns(tx, job.id);
  if (isFinal(to) && job.dryRun) return endDryRun(tx, job, now);
  if (isFinal(to)) await recordJobEnd(tx, { owner: job.owner, jobId: job.id, status: to, at: now });
  return job;
}

/** How long the report of a dry run is kept. */
export const DRY_RUN_KEPT_HOURS = 24;

/** Nobody is told of it by webhook, and it goes by itself. */
async function endDryRun(tx: Transaction, job: Job, now: Date): Promise<Job> {
  const expiresAt = new Date(now.getTime() + DRY_RUN_KEPT_HOURS * 3_600_000);
  return asJob(await tx.job.update({ where: { id: job.id }, data: { expiresAt } }));
}

const isByHand = (name: MoveName): boolean => name === 'resume' || name === 'revalidate';

/** Whoever resumes a job by hand gives it all its chances again, at once. */
const noLosses = { losses: 0, lostAtStep: null };
export const noWait = { waitingFor: null, waitingSince: null, resumeAt: null };

/** Jobs that wait for a worker and may be taken now: a job that waits for something outside is not tried before its time. */
export const dueAt = (now: Date): Prisma.JobWhereInput => ({
  status: { in: ['validating_files', 'queued'] },
  workerId: null,
  OR: [{ resumeAt: null }, { resumeAt: { lte: now } }],
});

/** The same in SQL, in the words of the index that has exactly these jobs: only then is it used. */
export const isDue = Prisma.sql`status IN ('validating_files', 'queued') AND worker_id IS NULL
  AND (resume_at IS NULL OR resume_at <= clock_timestamp() AT TIME ZONE 'UTC')`;

/** Adds events to a job whose row this transaction has locked. */
export async function addEvents(tx: Transaction, job: Job, events: NonNullable<Moved['events']>): Promise<void> {
  await tx.jobEvent.createMany({ data: eventRows(job.id, typeof events === 'function' ? events(job) : events) });
}

/** A job's columns in SQL, under the names of its fields: as Prisma's schema has them, in snake case. */
export const JOB_COLUMNS = Object.keys(Prisma.JobScalarFieldEnum)
  .map((field) => `"${field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}" AS "${field}"`)
  .join(', ');

/**
 * JSON columns are written only by this store, so they are read with the type that they were written with.
 * @returns the row itself: copying its forty columns would take as long as reading it
 */
export function asJob(row: JobRow): Job {
  // Jobs of older versions have neither in their method.
  const { type: objective, chat_template: chatTemplate = null, chat_template_kwargs: kwargs = null } = row.method as Prisma.JsonObject;
  return Object.assign(row as Omit<JobRow, 'trainedTokens'>, {
    objective,
    chatTemplate,
    chatTemplateKwargs: typeof kwargs === 'string' ? parseJsonValue(kwargs) : null,
    adapterFolder: row.adapterFolder ?? (row.status === 'succeeded' && !row.dryRun ? keys.olderAdapter(row.id) : null),
    trainedTokens: row.trainedTokens === null ? null : Number(row.trainedTokens),
  }) as unknown as Job;
}

/** null is stored in a JSON column as SQL's NULL. */
export function asColumns({ resolved, facts, error, tuning, ...plain }: JobPatch): Prisma.JobUpdateManyMutationInput {
  const json = Object.entries({ resolved, facts, error, tuning }).filter(([, value]) => value !== undefined);
  return { ...plain, ...Object.fromEntries(json.map(([name, value]) => [name, value ?? Prisma.DbNull])) };
}
