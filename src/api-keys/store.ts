import type { Scope } from '../accounts/scopes.ts';
import type { NewSecret } from '../accounts/secret-key.ts';
import type { Database } from '../database/client.ts';
import { type CreatedPage, createdPage } from '../database/created-order.ts';
import { unexpired } from '../database/unexpired.ts';
import type { ApiKey as KeyRow } from '../generated/prisma/client.ts';
import type { Page } from '../http/paging.ts';
import { newKeyId } from '../ids.ts';

/** A key as it is shown after it was made: without its value, which is stored nowhere. */
export interface StoredKey {
  id: string;
  organizationId: string;
  /** Null for a key of the whole organization. */
  projectId: string | null;
  /** The service account that the key belongs to; null for a key that a person made for themselves. */
  serviceAccount: { id: string; name: string; createdAt: Date } | null;
  name: string;
  redacted: string;
  scopes: Scope[];
  requestsPerMinute: number | null;
  createdAt: Date;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
}

/** Whose keys: those of an organization itself (null), or those of one of its projects. */
export interface KeyOwner {
  organizationId: string;
  projectId: string | null;
}

export type NewKey = { name: string; scopes: readonly Scope[] } & Partial<Pick<StoredKey, 'requestsPerMinute' | 'expiresAt'>> & {
    serviceAccountId?: string;
  };

export type KeyStore = ReturnType<typeof openKeyStore>;

/** Every method takes the owner first and sees no other's keys, and no revoked ones. */
export function openKeyStore(db: Database) {
  const include = { serviceAccount: { select: { id: true, name: true, createdAt: true } } } as const;
  return {
    async create({ organizationId, projectId }: KeyOwner, { scopes, ...key }: NewKey, secret: Omit<NewSecret, 'value'>): Promise<StoredKey> {
      const { sha256, redacted } = secret;
      const data = { id: newKeyId(), organizationId, projectId, ...key, scopes: [...scopes], sha256, redacted };
      return asKey(await db.apiKey.create({ data, include }));
    },

    async find(owner: KeyOwner, id: string): Promise<StoredKey | null> {
      const row = await db.apiKey.findFirst({ where: { id, ...owner, revokedAt: null }, include });
      return row && asKey(row);
    },

    async list(owner: KeyOwner, page: CreatedPage): Promise<Page<StoredKey>> {
      const { data, hasMore } = await createdPage(page, {
        find: (id) => db.apiKey.findFirst({ where: { id, ...owner }, select: { id: true, createdAt: true } }),
        many: ({ where, ...order }) => db.apiKey.findMany({ where: { ...owner, revokedAt: null, ...where }, include, ...order }),
      });
      return { data: data.map(asKey), hasMore };
    },

    /** Changes a key that has not expired. @returns null if there is no such key */
    async update(owner: KeyOwner, id: string, changes: Partial<Pick<StoredKey, 'scopes' | 'expiresAt'>>): Promise<StoredKey | null> {
      const { count } = await db.apiKey.updateMany({ where: { id, ...owner, revokedAt: null, ...unexpired() }, data: changes });
      return count === 0 ? null : this.find(owner, id);
    },

    /** @returns false if there was no such key */
    async revoke(owner: KeyOwner, id: string): Promise<boolean> {
      const { count } = await db.apiKey.updateMany({ where: { id, ...owner, revokedAt: null }, data: { revokedAt: new Date() } });
      return count === 1;
    },

    /** Forgets keys that were revoked or expired before this time. Nothing names them any more but the audit log. @returns how many */
    async forgetUnusable(before: Date): Promise<number> {
      const { count } = await db.apiKey.deleteMany({ where: { OR: [{ revokedAt: { lt: before } }, { expiresAt: { lt: before } }] } });
      return count;
    },
  };
}

type Row = KeyRow & { serviceAccount: StoredKey['serviceAccount'] };

const asKey = ({ sha256, revokedAt, serviceAccountId, scopes, ...row }: Row): StoredKey => ({ ...row, scopes: scopes as Scope[] });
