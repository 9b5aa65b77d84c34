import type { Database } from '../database/client.ts';
import { remembered } from './remembered.ts';
import type { Scope } from './scopes.ts';

/**
 * How long a process trusts what it read about keys and projects, so that a request is not two queries. A key that is revoked is refused at once by the
 * process that revoked it, and within this time by all others.
 */
export const ACCESS_REMEMBERED_MS = 5_000;
/** The time of a key's last use is written no more often than this. */
const USE_RECORDED_EVERY_MS = 60_000;

export type AccessStore = ReturnType<typeof openAccessStore>;

/** A key as it was made; whether it is still good is for the reader to say. */
export interface KnownKey {
  id: string;
  organization: string;
  /** Null for a key of the whole organization. */
  project: string | null;
  /** Where a key of the whole organization works unless a request names another project. */
  defaultProject: string;
  serviceAccount: string | null;
  scopes: readonly Scope[];
  requestsPerMinute: number | null;
  expiresAt: Date | null;
  isRevoked: boolean;
}

export interface KnownProject {
  id: string;
  organization: string;
  isArchived: boolean;
  requestsPerMinute: number | null;
}

/** What each request asks about its key and project. */
export function openAccessStore(db: Database) {
  const keys = remembered(findKey, ACCESS_REMEMBERED_MS);
  const projects = remembered(findProject, ACCESS_REMEMBERED_MS);
  return {
    keyWithHash: (sha256: string): Promise<KnownKey | null> => keys.get(sha256),
    project: (id: string): Promise<KnownProject | null> => projects.get(id),
    /** After a change in this process. */
    forget(): void {
      keys.forget();
      projects.forget();
    },
  };

  async function findKey(sha256: string): Promise<KnownKey | null> {
    const row = await db.apiKey.findUnique({ where: { sha256 }, include: { organization: { select: { defaultProjectId: true } } } });
    if (row === null) return null;
    const now = new Date();
    const isRevoked = row.revokedAt !== null;
    if (!isRevoked && (row.lastUsedAt === null || now.getTime() - row.lastUsedAt.getTime() >= USE_RECORDED_EVERY_MS))
      await db.apiKey.updateMany({ where: { sha256 }, data: { lastUsedAt: now } });
    return {
      id: row.id,
      organization: row.organizationId,
      project: row.projectId,
      defaultProject: row.organization.defaultProjectId,
      serviceAccount: row.serviceAccountId,
      scopes: row.scopes as Scope[],
      requestsPerMinute: row.requestsPerMinute,
      expiresAt: row.expiresAt,
      isRevoked,
    };
  }

  async function findProject(id: string): Promise<KnownProject | null> {
    const row = await db.project.findUnique({ where: { id } });
    if (row === null) return null;
    return { id, organization: row.organizationId, isArchived: row.archivedAt !== null, requestsPerMinute: row.requestsPerMinute };
  }
}
