import type { Database } from '../database/client.ts';
import type { AuditEntry as AuditRow, Prisma } from '../generated/prisma/client.ts';
import { cursorOf, type Page, pageOf } from '../http/paging.ts';
import { newAuditId } from '../ids.ts';

/** Who changed what, when, from where, and with what result. */
export type AuditEntry = Omit<AuditRow, 'seq'>;
export type NewAuditEntry = Omit<AuditEntry, 'id' | 'at'>;

export interface AuditFilter {
  after?: string;
  before?: string;
  limit: number;
  projects?: string[];
  types?: string[];
  actors?: string[];
  objects?: string[];
  at?: { gt?: Date; gte?: Date; lt?: Date; lte?: Date };
}

export type AuditStore = ReturnType<typeof openAuditStore>;

export function openAuditStore(db: Database) {
  return {
    async add(entry: NewAuditEntry): Promise<void> {
      await db.auditEntry.create({ data: { id: newAuditId(), ...entry } });
    },

    /** Newest first. */
    async list(organizationId: string, { after, before, limit, projects, types, actors, objects, at }: AuditFilter): Promise<Page<AuditEntry>> {
      const seqOf = (id: string | undefined) =>
        cursorOf(id, (known) => db.auditEntry.findUnique({ where: { id: known, organizationId }, select: { seq: true } }));
      const [start, end] = [await seqOf(after), await seqOf(before)];
      const conditions: Prisma.AuditEntryWhereInput[] = [{ organizationId }];
      if (start) conditions.push({ seq: { lt: start.seq } });
      if (end) conditions.push({ seq: { gt: end.seq } });
      if (projects) conditions.push({ projectId: { in: projects } });
      if (types) conditions.push({ type: { in: types } });
      if (actors) conditions.push({ OR: [{ keyId: { in: actors } }, { serviceAccountId: { in: actors } }] });
      if (objects) conditions.push({ objectId: { in: objects } });
      if (at) conditions.push({ at });
      // The page before an entry is the one next to it, not the newest.
      const isBackwards = end !== null && start === null;
      const rows = await db.auditEntry.findMany({
        where: { AND: conditions },
        omit: { seq: true },
        orderBy: { seq: isBackwards ? 'asc' : 'desc' },
        take: limit + 1,
      });
      const page = pageOf(rows, limit);
      return isBackwards ? { ...page, data: page.data.toReversed() } : page;
    },

    /** @returns how many entries are gone */
    async forget(before: Date): Promise<number> {
      return (await db.auditEntry.deleteMany({ where: { at: { lt: before } } })).count;
    },
  };
}
