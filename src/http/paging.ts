import { Refusal } from '../formats/refusal.ts';

/** A page of a list. */
export interface Page<T> {
  data: T[];
  hasMore: boolean;
}

/** @param rows one more than the page holds, if there are more */
export const pageOf = <T>(rows: T[], limit: number): Page<T> => ({ data: rows.slice(0, limit), hasMore: rows.length > limit });

/**
 * The row that `after` names; null for the first page. A cursor that leads nowhere must not start the list over: a client
 * that pages would never end.
 * @throws Refusal
 */
export async function cursorOf<T>(after: string | undefined, find: (id: string) => Promise<T | null>): Promise<T | null> {
  if (after === undefined) return null;
  const row = await find(after);
  if (row !== null) return row;
  const hint = "Give the last item's id of the page before.";
  throw new Refusal('invalid_value', `There is no "${after}" for the list to go on after`, { param: 'after', hint });
}
