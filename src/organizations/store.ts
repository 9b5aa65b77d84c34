import type { Database } from '../database/client.ts';
import type { Organization } from '../generated/prisma/client.ts';
import { newOrganizationId, newProjectId } from '../ids.ts';

export type { Organization };
export type OrganizationStore = ReturnType<typeof openOrganizationStore>;

/** For the operator of the service: nobody else sees more than one organization. */
export function openOrganizationStore(db: Database) {
  return {
    /** With the project in which its own keys work unless a request names another. */
    async create(name: string): Promise<Organization> {
      const [id, defaultProjectId] = [newOrganizationId(), newProjectId()];
      const projects = { create: { id: defaultProjectId, name: 'Default project' } };
      return db.organization.create({ data: { id, name, defaultProjectId, projects } });
    },

    find: (id: string): Promise<Organization | null> => db.organization.findUnique({ where: { id } }),

    list: (): Promise<Organization[]> => db.organization.findMany({ orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] }),
  };
}
