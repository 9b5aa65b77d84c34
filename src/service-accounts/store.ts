import type { Database } from '../database/client.ts';
import { type CreatedPage, createdPage } from '../database/created-order.ts';
import type { ServiceAccount as AccountRow } from '../generated/prisma/client.ts';
import type { Page } from '../http/paging.ts';
import { newServiceAccountId } from '../ids.ts';

export type ServiceAccount = Omit<AccountRow, 'deletedAt'>;
export type ServiceAccountStore = ReturnType<typeof openServiceAccountStore>;

/** Every method takes the project first and sees no other's accounts, and no deleted ones. */
export function openServiceAccountStore(db: Database) {
  return {
    create(projectId: string, name: string): Promise<ServiceAccount> {
      return db.serviceAccount.create({ data: { id: newServiceAccountId(), projectId, name }, omit: { deletedAt: true } });
    },

    find(projectId: string, id: string): Promise<ServiceAccount | null> {
      return db.serviceAccount.findFirst({ where: { id, projectId, deletedAt: null }, omit: { deletedAt: true } });
    },

    list(projectId: string, page: CreatedPage): Promise<Page<ServiceAccount>> {
      return createdPage(page, {
        find: (id) => db.serviceAccount.findFirst({ where: { id, projectId } }),
        many: ({ where, ...order }) =>
          db.serviceAccount.findMany({ where: { projectId, deletedAt: null, ...where }, omit: { deletedAt: true }, ...order }),
      });
    },

    /** @returns null if there is no such account */
    async rename(projectId: string, id: string, name: string): Promise<ServiceAccount | null> {
      const [row] = await db.serviceAccount.updateManyAndReturn({
        where: { id, projectId, deletedAt: null },
        data: { name },
        omit: { deletedAt: true },
      });
      return row ?? null;
    },

    /** With its keys. @returns false if there was no such account */
    delete(projectId: string, id: string): Promise<boolean> {
      const now = new Date();
      return db.$transaction(async (tx) => {
        const { count } = await tx.serviceAccount.updateMany({ where: { id, projectId, deletedAt: null }, data: { deletedAt: now } });
        if (count === 1) await tx.apiKey.updateMany({ where: { serviceAccountId: id, revokedAt: null }, data: { revokedAt: now } });
        return count === 1;
      });
    },
  };
}
