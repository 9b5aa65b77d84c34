/** When an uploaded file is removed: as its uploader asks, but no later than the operator keeps files. */

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** What `expires_after.seconds` may be, as OpenAI has it. */
export const MIN_EXPIRY_SECONDS = HOUR_SECONDS;
export const MAX_EXPIRY_SECONDS = 30 * DAY_SECONDS;

/**
 * @param afterSeconds what the uploader asked for; null: nothing
 * @param keptDays     how long the operator keeps files; null: for ever
 * @returns null if the file does not expire
 */
export function fileExpiry(afterSeconds: number | null, keptDays: number | null): Date | null {
  const seconds = Math.min(afterSeconds ?? Infinity, keptDays === null ? Infinity : keptDays * DAY_SECONDS);
  return seconds === Infinity ? null : new Date(Date.now() + seconds * 1000);
}
