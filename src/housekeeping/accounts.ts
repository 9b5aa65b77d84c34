import { databaseTime } from '../database/time.ts';
import type { Services } from '../services.ts';

/** Who did what is asked for within the year after it, and a month later. Days with their tokens, and keys that are refused, are kept as long: entries name them. */
export const KEEP_AUDIT_LOG_DAYS = 400;
const DAY_MS = 24 * 3600 * 1000;

/** Removes entries of the audit log that are old, and keys that have been useless for as long, and what was counted then. */
export async function sweepAccounts({
  database,
  audit,
  keys,
  quotas,
  log,
}: Pick<Services, 'database' | 'audit' | 'keys' | 'quotas' | 'log'>): Promise<void> {
  const before = new Date((await databaseTime(database)).getTime() - KEEP_AUDIT_LOG_DAYS * DAY_MS);
  const entries = await audit.forget(before);
  await quotas.forgetTokens(before);
  const unusable = await keys.forgetUnusable(before);
  if (entries + unusable > 0)
    log.info({ entries, keys: unusable, keepDays: KEEP_AUDIT_LOG_DAYS }, 'old entries of the audit log and old keys are gone');
}
