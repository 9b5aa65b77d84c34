import type { Database } from './client.ts';
import { databaseTime } from './time.ts';

/** A client walks a list in minutes; one that was stopped overnight still continues. */
const KEPT_DAYS = 7;
const DAY_MS = 24 * 3_600_000;

/** The position of something that has been deleted, in the list where it was; null if the list never had it, or long ago. */
export function tombstoneOf(db: Database, scope: string, id: string): Promise<{ id: string; createdAt: Date; step: number | null } | null> {
  return db.tombstone.findUnique({ where: { scope_id: { scope, id } }, select: { id: true, createdAt: true, step: true } });
}

/** Forgets those that no client continues after any more. */
export async function sweepTombstones(db: Database): Promise<void> {
  const before = new Date((await databaseTime(db)).getTime() - KEPT_DAYS * DAY_MS);
  await db.tombstone.deleteMany({ where: { goneAt: { lt: before } } });
}
