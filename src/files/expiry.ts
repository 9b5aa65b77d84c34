/** When an uploaded file is removed: as its uploader asks, but no later than the operator keeps files. */

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** What `expires_after.seconds` may be, as OpenAI has it. */
export const MIN_EXPIRY_SECONDS = HOUR_SECONDS;
export const MAX_EXPIRY_SECONDS = 30 * DAY_SECONDS;

/**
 * The times of a file that is made now. An expiry is counted from `created_at` itself, not from a moment before or after it.
 * @param afterSeconds what the uploader asked for; null: nothing
 * @param keptDays     how long the operator keeps files; null: for ever
 */
export function fileTimes(afterSeconds: number | null, keptDays: number | null): { createdAt: Date; expiresAt: Date | null } {
  const seconds = Math.min(afterSeconds ?? Infinity, keptDays === null ? Infinity : keptDays * DAY_SECONDS);
  const createdAt = new Date();
  return { createdAt, expiresAt: seconds === Infinity ? null : new Date(createdAt.getTime() + seconds * 1000) };
}
