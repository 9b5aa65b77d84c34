import type { Database } from '../database/client.ts';
import { createdPage } from '../database/created-order.ts';
import { databaseTime } from '../database/time.ts';
import { tombstoneOf } from '../database/tombstones.ts';
import type { WebhookEndpoint as EndpointRow } from '../generated/prisma/client.ts';
import type { Page } from '../http/paging.ts';
import type { EventType } from './events.ts';

/** The old secret signs too for this long after a rotation that keeps it: the client's option names the time. */
const OLD_SECRET_MS = 24 * 3_600_000;

/** Where a project's events are sent. */
export interface Endpoint {
  id: string;
  /** The project that the endpoint belongs to. */
  owner: string;
  name: string;
  url: string;
  eventTypes: EventType[];
  /** Sealed. */
  secret: string;
  secretHint: string;
  /** Sealed; null for none. */
  oldSecret: string | null;
  oldSecretUntil: Date | null;
  createdAt: Date;
  /** When its configuration or secret last changed. */
  updatedAt: Date;
  /** Set when the receiver said that it is gone. */
  disabledAt: Date | null;
}

export type NewEndpoint = Pick<Endpoint, 'id' | 'name' | 'url' | 'eventTypes' | 'secret' | 'secretHint'>;

export type EndpointStore = ReturnType<typeof openEndpointStore>;

/** Methods for users take the owner first and see only that owner's endpoints. */
export function openEndpointStore(db: Database) {
  return {
    async create(owner: string, endpoint: NewEndpoint): Promise<Endpoint> {
      const now = await databaseTime(db);
      return asEndpoint(await db.webhookEndpoint.create({ data: { ...endpoint, owner, createdAt: now, updatedAt: now } }));
    },

    count: (owner: string): Promise<number> => db.webhookEndpoint.count({ where: { owner } }),

    async find(owner: string, id: string): Promise<Endpoint | null> {
      const row = await db.webhookEndpoint.findUnique({ where: { id, owner } });
      return row && asEndpoint(row);
    },

    /** Newest first. */
    async list(owner: string, { after, limit }: { after?: string; limit: number }): Promise<Page<Endpoint>> {
      const page = await createdPage(
        { after, limit, order: 'desc' },
        {
          find: async (id) =>
            (await db.webhookEndpoint.findUnique({ where: { id, owner }, select: { id: true, createdAt: true } })) ?? tombstoneOf(db, owner, id),
          many: ({ where, ...order }) => db.webhookEndpoint.findMany({ where: { owner, ...where }, ...order }),
        },
      );
      return { ...page, data: page.data.map(asEndpoint) };
    },

    /** @returns the endpoint, or null if there is none */
    async update(
      owner: string,
      id: string,
      changed: Partial<Pick<Endpoint, 'name' | 'url' | 'eventTypes' | 'disabledAt'>>,
    ): Promise<Endpoint | null> {
      return updated(owner, id, { ...changed, updatedAt: await databaseTime(db) });
    },

    /**
     * @param options.keepOld whether the secret of before signs too for a day; one of before that no longer does
     * @returns the endpoint, or null if there is none
     */
    async rotate(
      owner: string,
      { id, secret: oldSecret }: Pick<Endpoint, 'id' | 'secret'>,
      { keepOld, ...next }: Pick<Endpoint, 'secret' | 'secretHint'> & { keepOld: boolean },
    ): Promise<Endpoint | null> {
      const now = await databaseTime(db);
      const old = keepOld ? { oldSecret, oldSecretUntil: new Date(now.getTime() + OLD_SECRET_MS) } : { oldSecret: null, oldSecretUntil: null };
      return updated(owner, id, { ...next, ...old, updatedAt: now });
    },

    /** With its log, and what waits to be sent. @returns false if there is none */
    async delete(owner: string, id: string): Promise<boolean> {
      return (await db.webhookEndpoint.deleteMany({ where: { id, owner } })).count === 1;
    },

    /** The receiver is gone: what waits for it ends. */
    async disable(id: string): Promise<void> {
      const now = await databaseTime(db);
      await db.$transaction([
        db.webhookEndpoint.updateMany({ where: { id, disabledAt: null }, data: { disabledAt: now } }),
        db.webhookDelivery.updateMany({
          where: { endpointId: id, status: 'pending' },
          data: { status: 'failed', endedAt: now, nextAttemptAt: null },
        }),
      ]);
    },

    /** Forgets old secrets that no longer sign. */
    async forgetOldSecrets(): Promise<void> {
      const oldSecretUntil = { lte: await databaseTime(db) };
      await db.webhookEndpoint.updateMany({ where: { oldSecretUntil }, data: { oldSecret: null, oldSecretUntil: null } });
    },
  };

  async function updated(owner: string, id: string, data: Partial<Endpoint>): Promise<Endpoint | null> {
    const [row] = await db.webhookEndpoint.updateManyAndReturn({ where: { id, owner }, data });
    return row === undefined ? null : asEndpoint(row);
  }
}

export const asEndpoint = (row: EndpointRow): Endpoint => row as Endpoint;
