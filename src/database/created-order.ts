import { cursorOf, type Page, pageOf } from '../http/paging.ts';

/** A page of rows in the order of their creation. */
export interface CreatedPage {
  /** Id of the last row of the page before. */
  after?: string | undefined;
  limit: number;
  order: 'asc' | 'desc';
}

interface Created {
  id: string;
  createdAt: Date;
}

type RowsAfter = { OR: [{ createdAt: object }, { createdAt: Date; id: object }] } | object;

/**
 * @param query.find  the row that a cursor names, although it may be deleted: a list can be read while its rows are being deleted
 * @param query.many  rows of a condition, to be combined with whose rows they are
 */
export async function createdPage<T extends Created>(
  { after, limit, order }: CreatedPage,
  query: {
    find(id: string): Promise<Created | null>;
    many(rows: { where: RowsAfter; orderBy: [{ createdAt: 'asc' | 'desc' }, { id: 'asc' | 'desc' }]; take: number }): Promise<T[]>;
  },
): Promise<Page<T>> {
  const cursor = await cursorOf(after, query.find);
  const beyond = order === 'asc' ? 'gt' : 'lt';
  const where =
    cursor === null ? {} : { OR: [{ createdAt: { [beyond]: cursor.createdAt } }, { createdAt: cursor.createdAt, id: { [beyond]: cursor.id } }] };
  return pageOf(await query.many({ where, orderBy: [{ createdAt: order }, { id: order }], take: limit + 1 }), limit);
}
