import { Refusal } from '../formats/refusal.ts';

/** A page of a list. */
export interface Page<T> {
  data: T[];
  hasMore: boolean;
}

/** @param rows one more than fits the page, if there are more */
export const pageOf = <T>(rows: T[], limit: number): Page<T> => ({ data: rows.slice(0, limit), hasMore: rows.length > limit });

/**
 * Finds the position that `after` names; null for the first page. An unknown cursor must not restart the list, or a client that
 * pages would never finish.
 * @param find  the row, or the tombstone of one that is gone: clients delete what they list
 * @throws Refusal
 */
export async function cursorOf<T>(after: string | undefined, find: (id: string) => Promise<T | null>): Promise<T | null> {
  if (after === undefined) return null;
  const row = await find(after);
  if (row !== null) return row;
  const hint = 'Use the id of the last item of the previous page.';
  throw new Refusal('invalid_value', `There is no "${after}" to continue the list after`, { param: 'after', hint });
}
