import type { Database } from '../database/client.ts';
import { type CreatedPage, createdPage } from '../database/created-order.ts';
import type { Project as ProjectRow } from '../generated/prisma/client.ts';
import type { Page } from '../http/paging.ts';
import { newProjectId } from '../ids.ts';

/** What a project may use; null: as much as there is. */
export interface ProjectLimits {
  /** Files that are not deleted, and their bytes together. */
  maxFiles: number | null;
  maxBytes: number | null;
  /** Jobs that wait, paused ones among them. */
  maxQueuedJobs: number | null;
  /** Jobs that workers have. */
  maxRunningJobs: number | null;
  /** Tokens that jobs are trained on, by the day in UTC. */
  maxTokensPerDay: number | null;
  /** Of all the project's keys together. */
  requestsPerMinute: number | null;
}

export interface Project extends ProjectLimits {
  id: string;
  /** The organization that the project is in. */
  organizationId: string;
  name: string;
  createdAt: Date;
  archivedAt: Date | null;
}

export type ProjectChanges = { name?: string } & Partial<ProjectLimits>;

export type ProjectStore = ReturnType<typeof openProjectStore>;

/** Projects. Every method takes the organization first and sees no other's. */
export function openProjectStore(db: Database) {
  return {
    async create(organizationId: string, { name, ...limits }: { name: string } & Partial<ProjectLimits>): Promise<Project> {
      return asProject(await db.project.create({ data: { id: newProjectId(), organizationId, name, ...limits } }));
    },

    async find(organizationId: string, id: string): Promise<Project | null> {
      const row = await db.project.findUnique({ where: { id, organizationId } });
      return row && asProject(row);
    },

    /** Where the organization's own keys work unless a request names another project. */
    async defaultOf(organizationId: string): Promise<string> {
      return (await db.organization.findUniqueOrThrow({ where: { id: organizationId } })).defaultProjectId;
    },

    async list(organizationId: string, { withArchived, ...page }: CreatedPage & { withArchived: boolean }): Promise<Page<Project>> {
      const { data, hasMore } = await createdPage(page, {
        find: (id) => db.project.findUnique({ where: { id, organizationId }, select: { id: true, createdAt: true } }),
        many: ({ where, ...order }) =>
          db.project.findMany({ where: { organizationId, ...(!withArchived && { archivedAt: null }), ...where }, ...order }),
      });
      return { data: data.map(asProject), hasMore };
    },

    /** @returns null if there is no such project or it is archived */
    async update(organizationId: string, id: string, changes: ProjectChanges): Promise<Project | null> {
      const [row] = await db.project.updateManyAndReturn({ where: { id, organizationId, archivedAt: null }, data: changes });
      return row === undefined ? null : asProject(row);
    },

    /** Twice changes nothing more. @returns null if there is no such project */
    async archive(organizationId: string, id: string): Promise<Project | null> {
      await db.project.updateMany({ where: { id, organizationId, archivedAt: null }, data: { archivedAt: new Date() } });
      return this.find(organizationId, id);
    },
  };
}

const numberOrNull = (value: bigint | null): number | null => (value === null ? null : Number(value));

const asProject = ({ maxBytes, maxTokensPerDay, ...row }: ProjectRow): Project => ({
  ...row,
  maxBytes: numberOrNull(maxBytes),
  maxTokensPerDay: numberOrNull(maxTokensPerDay),
});
