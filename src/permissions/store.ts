import type { Database } from '../database/client.ts';
import { type CreatedPage, createdPage } from '../database/created-order.ts';
import { databaseTime } from '../database/time.ts';
import { tombstoneOf } from '../database/tombstones.ts';
import type { Page } from '../http/paging.ts';
import { newPermissionId } from '../ids.ts';

/** Lets a project use a tuned model or a checkpoint of another one in its organization. */
export interface Permission {
  id: string;
  /** The project that the model belongs to. */
  owner: string;
  jobId: string;
  /** `ft:…`, or `ft:…:ckpt-step-N` */
  model: string;
  /** The project that may use it. */
  projectId: string;
  createdAt: Date;
}

/** A tuned model or a checkpoint, wherever in the organization it is. */
export type SharedModel = Pick<Permission, 'owner' | 'jobId' | 'model'>;

export type PermissionStore = ReturnType<typeof openPermissionStore>;

export function openPermissionStore(db: Database) {
  return {
    /** @returns the model if a project of the organization has it; null otherwise */
    async findModel(organization: string, model: string): Promise<SharedModel | null> {
      const select = { id: true, owner: true } as const;
      const job =
        (await db.job.findUnique({ where: { fineTunedModel: model }, select })) ??
        (await db.checkpoint.findUnique({ where: { name: model }, select: { job: { select } } }))?.job;
      if (job == null || (await db.project.count({ where: { id: job.owner, organizationId: organization } })) === 0) return null;
      return { owner: job.owner, jobId: job.id, model };
    },

    /** Gives what is not given yet. @returns the permissions of these projects, in their order */
    async grant({ owner, jobId, model }: SharedModel, projectIds: readonly string[]): Promise<Permission[]> {
      const createdAt = await databaseTime(db);
      const data = projectIds.map((projectId) => ({ id: newPermissionId(), owner, jobId, model, projectId, createdAt }));
      await db.checkpointPermission.createMany({ data, skipDuplicates: true });
      const rows = await db.checkpointPermission.findMany({ where: { model, projectId: { in: [...projectIds] } } });
      return projectIds.flatMap((id) => rows.find(({ projectId }) => projectId === id) ?? []);
    },

    list({ owner, model }: SharedModel, { projectId, ...page }: CreatedPage & { projectId?: string | undefined }): Promise<Page<Permission>> {
      return createdPage(page, {
        find: async (id) =>
          (await db.checkpointPermission.findFirst({ where: { id, model }, select: { id: true, createdAt: true } })) ?? tombstoneOf(db, owner, id),
        many: ({ where, ...order }) =>
          db.checkpointPermission.findMany({ where: { AND: [{ model }, projectId === undefined ? {} : { projectId }, where] }, ...order }),
      });
    },

    /** @returns false if there was none */
    async revoke({ model }: SharedModel, id: string): Promise<boolean> {
      return (await db.checkpointPermission.deleteMany({ where: { id, model } })).count === 1;
    },

    /** @returns the project that shares the model with this one; null if none does */
    async ownerSharing(projectId: string, model: string): Promise<string | null> {
      const row = await db.checkpointPermission.findUnique({ where: { model_projectId: { model, projectId } }, select: { owner: true } });
      return row?.owner ?? null;
    },

    /** What other projects share with this one of what a job has made. */
    async ofJob(projectId: string, jobId: string): Promise<Permission[]> {
      return db.checkpointPermission.findMany({ where: { projectId, jobId } });
    },
  };
}
