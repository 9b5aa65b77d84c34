/** After five seconds at first, then three times as long each time: a restart of the receiver is waited for within a minute. */
const FIRST_PAUSE_MS = 5_000;
const GROWTH = 3;
/** A receiver that was away for days is told within this time of its return. */
const LONGEST_PAUSE_MS = 6 * 3_600_000;
/** Over a weekend, as OpenAI does. */
export const GIVE_UP_AFTER_MS = 72 * 3_600_000;
/** Each pause is longer or shorter by up to this share, so that what failed together does not come back together. */
const JITTER = 0.2;

/**
 * @param attempts how many there have been
 * @param random   from [0, 1)
 */
export function pauseMs(attempts: number, random: number): number {
  const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * GROWTH ** (attempts - 1));
  return Math.round(pause * (1 + JITTER * (2 * random - 1)));
}
