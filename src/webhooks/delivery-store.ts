import type { Database } from '../database/client.ts';
import { createdPage } from '../database/created-order.ts';
import { databaseTime, now } from '../database/time.ts';
import { type WebhookDelivery as DeliveryRow, Prisma } from '../generated/prisma/client.ts';
import type { Page } from '../http/paging.ts';
import { asEndpoint, type Endpoint } from './endpoint-store.ts';
import type { EventType } from './events.ts';

/** An attempt whose process died is made again after this: longer than an attempt can take. */
const LEASE_SECONDS = 60;

/** One attempt, as the log shows it. */
export interface Attempt {
  /** ISO 8601. */
  at: string;
  /** null when there was no answer. */
  status_code: number | null;
  duration_ms: number;
  /** null when the event was accepted. */
  error: string | null;
}

export const deliveryStatuses = ['pending', 'delivered', 'failed'] as const;

/** One event on its way to one endpoint. */
export interface Delivery {
  /** The `webhook-id` of every attempt. */
  id: string;
  endpointId: string;
  eventId: string;
  eventType: EventType;
  /** The job's id. */
  subjectId: string;
  status: (typeof deliveryStatuses)[number];
  /** How many attempts have begun; only the newest may write its result. */
  attempt: number;
  attempts: Attempt[];
  createdAt: Date;
  /** null once the delivery has ended. */
  nextAttemptAt: Date | null;
  endedAt: Date | null;
}

export type DeliveryStore = ReturnType<typeof openDeliveryStore>;

export function openDeliveryStore(db: Database) {
  return {
    /**
     * Takes deliveries that are due, so that no other process sends them while an attempt can last.
     * @param options.except endpoints that have enough in flight
     */
    async claim(limit: number, { except, perEndpoint }: { except: string[]; perEndpoint: number }): Promise<(Delivery & { endpoint: Endpoint })[]> {
      // Due is asked twice: another process may have taken a row between the ranking and the lock.
      const due = Prisma.sql`status = 'pending' AND next_attempt_at <= ${now}`;
      const claimed = await db.$queryRaw<{ id: string }[]>`
        UPDATE webhook_deliveries SET attempt = attempt + 1, next_attempt_at = ${now} + make_interval(secs => ${LEASE_SECONDS})
        WHERE id IN (
          SELECT id FROM webhook_deliveries JOIN (
            SELECT id AS ranked, row_number() OVER (PARTITION BY endpoint_id ORDER BY next_attempt_at, id) AS place
            FROM webhook_deliveries WHERE ${due} AND endpoint_id <> ALL(${except}::text[])
          ) AS places ON ranked = id
          WHERE place <= ${perEndpoint} AND ${due}
          ORDER BY next_attempt_at LIMIT ${limit} FOR UPDATE OF webhook_deliveries SKIP LOCKED
        ) RETURNING id`;
      if (claimed.length === 0) return [];
      const rows = await db.webhookDelivery.findMany({ where: { id: { in: claimed.map(({ id }) => id) } }, include: { endpoint: true } });
      return rows.map((row) => ({ ...asDelivery(row), endpoint: asEndpoint(row.endpoint) }));
    },

    /**
     * Records how an attempt went. Does nothing if a newer one has begun, or if the delivery has ended or is gone.
     * @param options.pauseMs until the next attempt; null: there is none
     */
    async record(
      { id, attempt, attempts }: Pick<Delivery, 'id' | 'attempt' | 'attempts'>,
      made: Attempt,
      { status, pauseMs }: Pick<Delivery, 'status'> & { pauseMs: number | null },
    ): Promise<void> {
      const recordedAt = await databaseTime(db);
      await db.webhookDelivery.updateMany({
        where: { id, attempt, status: 'pending' },
        data: {
          attempts: [...attempts, made] as object[],
          status,
          nextAttemptAt: pauseMs === null ? null : new Date(recordedAt.getTime() + pauseMs),
          endedAt: status === 'pending' ? null : recordedAt,
        },
      });
    },

    /** Newest first. */
    async list(owner: string, endpointId: string, { after, limit }: { after?: string; limit: number }): Promise<Page<Delivery>> {
      const mine = { endpointId, endpoint: { owner } };
      const page = await createdPage(
        { after, limit, order: 'desc' },
        {
          find: (id) => db.webhookDelivery.findFirst({ where: { id, ...mine }, select: { id: true, createdAt: true } }),
          many: ({ where, ...order }) => db.webhookDelivery.findMany({ where: { ...mine, ...where }, ...order }),
        },
      );
      return { ...page, data: page.data.map(asDelivery) };
    },

    /** Removes the log of deliveries that ended before this many days. @returns how many */
    async forget(days: number): Promise<number> {
      const endedAt = { lt: new Date((await databaseTime(db)).getTime() - days * 24 * 3_600_000) };
      return (await db.webhookDelivery.deleteMany({ where: { endedAt } })).count;
    },
  };
}

/** JSON columns are written only by this store, so they are read with the type that they were written with. */
const asDelivery = (row: DeliveryRow): Delivery => row as unknown as Delivery;
