/** A time as OpenAI's API represents it: Unix seconds. */
export const unixSeconds = (time: Date): number => Math.floor(time.getTime() / 1000);

export const secondsOrNull = (time: Date | null): number | null => time && unixSeconds(time);
