import { setTimeout as delay } from 'node:timers/promises';
import { isRefusedByDatabase } from './refused-write.ts';

/** When a query that failed is tried again. Together as long as Postgres takes to restart, and far below the heartbeat's timeout. */
const RETRY_AFTER_MS = [100, 500, 2_000, 5_000];

/**
 * Tries a query again for some seconds if the database did not answer.
 * @param query.isRepeated  whether an earlier try may have come through
 * @throws the error of the last try, or at once what the database refuses for good
 */
export async function untilAnswered<T>(query: (isRepeated: boolean) => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await query(tries > 0);
    } catch (error) {
      const retryAfterMs = RETRY_AFTER_MS[tries];
      if (retryAfterMs === undefined || isRefusedByDatabase(error)) throw error;
      await delay(retryAfterMs);
    }
  }
}
