import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';
import type { Caller } from './principal.ts';

const WINDOW_SECONDS = 60;

/** Where a caller stands after a request. */
export interface Allowance {
  /** Requests in a minute. */
  limit: number;
  /** How many of them are left; below zero when this request was one too many. */
  remaining: number;
  /** Time until all of them are available again. */
  resetMs: number;
}

export type RateLimiter = ReturnType<typeof openRateLimiter>;

/**
 * Counts requests by the minute, which begins with its first request: in Redis, so that all processes of the API share one count. While Redis is away each
 * process counts for itself, and nobody is refused because of that.
 * @param redis  an ioredis connection that fails at once when it is not connected
 */
export function openRateLimiter(redis: unknown) {
  const options = { keyPrefix: 'graft-requests', points: 1, duration: WINDOW_SECONDS };
  const insuranceLimiter = new RateLimiterMemory(options);
  const counter = new RateLimiterRedis({ ...options, storeClient: redis, rejectIfRedisNotReady: true, insuranceLimiter });

  async function count(key: string, limit: number): Promise<Allowance> {
    // Its own limit is not asked: it has one for all keys.
    const { consumedPoints, msBeforeNext } = await counter.penalty(key, 1);
    return { limit, remaining: limit - consumedPoints, resetMs: msBeforeNext };
  }

  return {
    /** Counts a request. @returns what is left of the narrower limit, of the key or of its project; null if neither has a limit */
    async take({ project, key, requestsPerMinute: { ofKey, ofProject } }: Caller): Promise<Allowance | null> {
      const counted = await Promise.all([
        ...(ofKey === null ? [] : [count(`key:${key.id}`, ofKey)]),
        ...(ofProject === null ? [] : [count(`project:${project}`, ofProject)]),
      ]);
      return counted.sort((a, b) => a.remaining - b.remaining)[0] ?? null;
    },
  };
}
