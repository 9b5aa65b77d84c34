import { randomUUID } from 'node:crypto';
import type { Database } from '../database/client.ts';
import { databaseTime } from '../database/time.ts';

/** How long a key and its answer are kept, as with other services that take an Idempotency-Key. */
export const KEY_KEPT_MS = 24 * 3_600_000;
/** A process that works on a request says so this often. */
export const STILL_ALIVE_EVERY_MS = 10_000;
/** One that has not said so for this long is gone, and another may do the request. Tolerates a database outage of half a minute. */
const SILENT_MS = 45_000;

/** The right to do a request, which one process has. */
export interface Claim {
  owner: string;
  keySha256: string;
  /** Stays the same when another process takes over from one that died: what a request creates exists once for each. */
  id: string;
}

export interface Asked {
  owner: string;
  keySha256: string;
  /** Method and address. */
  route: string;
  /** null while a body still arrives. */
  bodySha256: string | null;
}

/** A request that came first. */
export interface Earlier {
  route: string;
  bodySha256: string | null;
  /** null while it is being done. */
  status: number | null;
  /** Sealed. */
  answer: string | null;
}

export type RetryStore = ReturnType<typeof openRetryStore>;

/** Requests that may be sent again, with what they answered. */
export function openRetryStore(db: Database) {
  return {
    /**
     * Claims a request, unless one with its key came before.
     * @param options.keptMs   how long ago one may have come that counts
     * @param options.replaces  does not look back: this is a new request, and later ones are compared with it
     */
    async claim(asked: Asked, { keptMs, replaces = false }: { keptMs: number; replaces?: boolean }): Promise<Claim | Earlier> {
      const { owner, keySha256, route, bodySha256 } = asked;
      const now = await databaseTime(db);
      const [since, aliveSince] = [new Date(now.getTime() - keptMs), new Date(now.getTime() - SILENT_MS)];
      const [row] = await db.$queryRaw<{ claim: string }[]>`
        INSERT INTO repeatable_requests AS earlier (owner, key_sha256, claim, route, body_sha256, created_at, alive_at)
        VALUES (${owner}, ${keySha256}, ${randomUUID()}, ${route}, ${bodySha256}, ${now}, ${now})
        ON CONFLICT (owner, key_sha256) DO UPDATE SET
          claim = CASE WHEN ${replaces} OR earlier.created_at < ${since} THEN EXCLUDED.claim ELSE earlier.claim END,
          created_at = CASE WHEN ${replaces} OR earlier.created_at < ${since} THEN EXCLUDED.created_at ELSE earlier.created_at END,
          route = EXCLUDED.route, body_sha256 = EXCLUDED.body_sha256, status = NULL, answer = NULL, alive_at = EXCLUDED.alive_at
        WHERE ${replaces} OR earlier.created_at < ${since} OR (
          earlier.status IS NULL AND earlier.alive_at < ${aliveSince}
          AND earlier.route = EXCLUDED.route AND earlier.body_sha256 IS NOT DISTINCT FROM EXCLUDED.body_sha256
        )
        RETURNING claim`;
      if (row !== undefined) return { owner, keySha256, id: row.claim };
      const earlier = await db.repeatableRequest.findUnique({ where: { owner_keySha256: { owner, keySha256 } } });
      return earlier ?? this.claim(asked, { keptMs, replaces }); // it was refused in the meantime
    },

    /** The request is still being done. */
    async keepAlive(claim: Claim): Promise<void> {
      await db.repeatableRequest.updateMany({ where: held(claim), data: { aliveAt: await databaseTime(db) } });
    },

    /** @param answer sealed */
    async complete(claim: Claim, { status, answer, bodySha256 }: { status: number; answer: string; bodySha256: string }): Promise<void> {
      await db.repeatableRequest.updateMany({ where: held(claim), data: { status, answer, bodySha256 } });
    },

    /** The request was refused or failed: the same key may try again. */
    async release(claim: Claim): Promise<void> {
      await db.repeatableRequest.deleteMany({ where: held(claim) });
    },

    async sweep(): Promise<void> {
      const before = new Date((await databaseTime(db)).getTime() - KEY_KEPT_MS);
      await db.repeatableRequest.deleteMany({ where: { createdAt: { lt: before } } });
    },
  };
}

const held = ({ owner, keySha256, id }: Claim) => ({ owner, keySha256, claim: id });
