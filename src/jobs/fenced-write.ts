/** What a worker writes about a job that it has: in one transaction, only while it has the job, and once, even when the answer to a commit is lost. */
import type { Database, Transaction } from '../database/client.ts';
import { untilAnswered } from '../database/until-answered.ts';
import { heldStatuses } from './state.ts';

/** A worker's turn with a job; a newer attempt fences off the older ones. */
export interface Attempt {
  id: string;
  attempt: number;
}

/**
 * Runs a write in a transaction that has locked the job's row, so that a claim or a cancel comes before it or after it.
 * @param write  may run again after its commit, if only the answer was lost: it must then change nothing
 * @returns its result, or null when the worker no longer has the job: the job has ended, was released, or has a newer attempt
 */
export function writeFenced<T>(db: Database, attempt: Attempt, write: (tx: Transaction) => Promise<T>): Promise<T | null> {
  return untilAnswered(() => db.$transaction(async (tx) => ((await lock(tx, attempt)) ? write(tx) : null)));
}

/** Locks the job's row if the worker has the job, which also counts as its heartbeat. */
async function lock(tx: Transaction, { id, attempt }: Attempt): Promise<boolean> {
  const count = await tx.$executeRaw`
    UPDATE jobs SET heartbeat_at = clock_timestamp() AT TIME ZONE 'UTC'
    WHERE id = ${id} AND attempt = ${attempt} AND worker_id IS NOT NULL AND status::text = ANY(${[...heldStatuses]})`;
  return count === 1;
}
