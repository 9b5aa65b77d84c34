import { Prisma } from '../generated/prisma/client.ts';
import type { Database, Transaction } from './client.ts';

/**
 * The database's clock, the only one that all machines share: what expires on one machine and is renewed by another is timed by it.
 * @returns the time now, not that of the transaction's beginning
 */
export async function databaseTime(db: Database | Transaction): Promise<Date> {
  const [row] = await db.$queryRaw<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
  return row!.now;
}

/** The same clock in SQL, as columns have it: in UTC, without a time zone. */
export const now = Prisma.sql`(clock_timestamp() AT TIME ZONE 'UTC')`;
