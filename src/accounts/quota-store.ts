/**
 * What a project may use. Each check locks the project's row, if it has a limit at all, until what was checked is written: two requests at once cannot both
 * take what is left for one.
 */
import type { Database, Transaction } from '../database/client.ts';
import { unexpired } from '../database/unexpired.ts';
import { quantity } from '../formats/quantity.ts';
import { Refusal } from '../formats/refusal.ts';
import { Prisma } from '../generated/prisma/client.ts';

const exceeded = (message: string, what: string): Refusal =>
  new Refusal('insufficient_quota', message, { hint: `${what}, or ask whoever administers the organization to raise the limit.` });

/** The database's clock: all processes change the day together. */
const today = Prisma.sql`(clock_timestamp() AT TIME ZONE 'UTC')::date`;
const tokensToday = Prisma.sql`coalesce((SELECT tokens FROM token_usage WHERE project_id = projects.id AND day = ${today}), 0)`;

/** @throws Refusal insufficient_quota if the project has no room for another file of this size */
export async function requireRoomForFile(tx: Transaction, project: string, sizeBytes: number): Promise<void> {
  const [limits] = await tx.$queryRaw<{ files: number | null; bytes: bigint | null }[]>`
    SELECT max_files AS files, max_bytes AS bytes FROM projects
    WHERE id = ${project} AND (max_files IS NOT NULL OR max_bytes IS NOT NULL) FOR NO KEY UPDATE`;
  if (limits === undefined) return;
  const where = { owner: project, deletedAt: null, ...unexpired() };
  const { _count: files, _sum: sum } = await tx.file.aggregate({ where, _count: true, _sum: { sizeBytes: true } });
  const bytes = Number(sum.sizeBytes ?? 0);
  const remedy = 'Delete files that are no longer needed';
  if (limits.files !== null && files + 1 > limits.files)
    throw exceeded(`The project has ${quantity(files, 'file')}, and its limit is ${limits.files}`, remedy);
  if (limits.bytes !== null && bytes + sizeBytes > limits.bytes)
    throw exceeded(`The project's files have ${quantity(bytes, 'byte')}, and ${sizeBytes} more would exceed its limit of ${limits.bytes}`, remedy);
}

/** @throws Refusal insufficient_quota if no further job of the project may wait */
export async function requireRoomForJob(tx: Transaction, project: string): Promise<void> {
  const [limits] = await tx.$queryRaw<{ queued: number | null; tokens: bigint | null; used: bigint }[]>`
    SELECT max_queued_jobs AS queued, max_tokens_per_day AS tokens, ${tokensToday} AS used FROM projects
    WHERE id = ${project} AND (max_queued_jobs IS NOT NULL OR max_tokens_per_day IS NOT NULL) FOR NO KEY UPDATE`;
  if (limits === undefined) return;
  const { tokens, used, queued } = limits;
  if (tokens !== null && used >= tokens)
    throw exceeded(`The project's jobs were trained on ${used} tokens today, and its limit is ${tokens} a day`, 'Wait until 00:00 UTC');
  if (queued === null) return;
  const waiting = await tx.job.count({ where: { owner: project, status: { in: ['validating_files', 'queued', 'paused'] }, workerId: null } });
  if (waiting >= queued)
    throw exceeded(`The project has ${quantity(waiting, 'waiting or paused job')}, and its limit is ${queued}`, 'Wait until one has begun');
}

/** A project none of whose jobs may be begun now. */
export interface FullProject {
  id: string;
  /** Which limit is reached, in a few words. */
  detail: string;
}

interface Use {
  id: string;
  running: bigint;
  maxRunning: number | null;
  tokens: bigint;
  maxTokens: bigint | null;
}

/** @param only looks at this project alone */
export async function fullProjects(db: Database | Transaction, only?: string): Promise<FullProject[]> {
  const uses = await db.$queryRaw<Use[]>`
    SELECT id, max_running_jobs AS "maxRunning", (SELECT count(*) FROM jobs WHERE owner = projects.id AND worker_id IS NOT NULL) AS running,
      max_tokens_per_day AS "maxTokens", ${tokensToday} AS tokens
    FROM projects WHERE (max_running_jobs IS NOT NULL OR max_tokens_per_day IS NOT NULL)
      AND ${only === undefined ? Prisma.sql`TRUE` : Prisma.sql`id = ${only}`}`;
  return uses.flatMap(({ id, running, maxRunning, tokens, maxTokens }) => {
    if (maxRunning !== null && running >= maxRunning)
      return [{ id, detail: `workers have ${quantity(Number(running), 'job')} of it, and its limit is ${maxRunning}` }];
    if (maxTokens !== null && tokens >= maxTokens)
      return [{ id, detail: `its jobs were trained on ${tokens} tokens today, and its limit is ${maxTokens} a day, until 00:00 UTC` }];
    return [];
  });
}

/** Runs a write by which a worker takes a job of the project. @returns null if the project is full */
export async function unlessFull<T>(db: Database, project: string, take: (tx: Database | Transaction) => Promise<T>): Promise<T | null> {
  const limited = { id: project, OR: [{ maxRunningJobs: { not: null } }, { maxTokensPerDay: { not: null } }] };
  if ((await db.project.count({ where: limited })) === 0) return take(db);
  return db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM projects WHERE id = ${project} FOR NO KEY UPDATE`;
    return (await fullProjects(tx, project)).length > 0 ? null : take(tx);
  });
}

/** Counts what a job was trained on, for its project's limit of the day. */
export async function countTokens(tx: Transaction, jobId: string, tokens: number): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO token_usage (project_id, day, tokens) SELECT owner, ${today}, ${tokens} FROM jobs WHERE id = ${jobId}
    ON CONFLICT (project_id, day) DO UPDATE SET tokens = token_usage.tokens + EXCLUDED.tokens`;
}

export type QuotaStore = ReturnType<typeof openQuotaStore>;

export function openQuotaStore(db: Database) {
  return {
    /** Before bytes are received that could not be kept. @throws Refusal insufficient_quota */
    requireRoomForFile: (project: string, sizeBytes: number): Promise<void> => db.$transaction((tx) => requireRoomForFile(tx, project, sizeBytes)),

    fullProjects: (): Promise<FullProject[]> => fullProjects(db),

    /** Days whose tokens no limit asks for any more. @returns how many rows are gone */
    async forgetTokens(before: Date): Promise<number> {
      return (await db.tokenUsage.deleteMany({ where: { day: { lt: before } } })).count;
    },
  };
}
