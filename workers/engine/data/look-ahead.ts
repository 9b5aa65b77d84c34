/** Starts work on items before its results are needed, so that several run at once, and gives the results in the items' order. */

export interface Started<Item, Result> {
  item: Item;
  result: Promise<Result>;
}

interface Limits {
  /** How many items are worked on at once. */
  most: number;
  /** How far apart the first and the last of them may be in the source, whose place `at` tells once an item has been read. */
  span: { most: number; at(): number };
}

/** @param items read ahead; an error in them is thrown once all items before it have been given */
export async function* lookAhead<Item, Result>(
  items: AsyncIterable<Item>,
  work: (item: Item) => Promise<Result>,
  { most, span }: Limits,
): AsyncGenerator<Started<Item, Result>> {
  const source = items[Symbol.asyncIterator]();
  const waiting: (Started<Item, Result> & { at: number })[] = [];
  const full = (): boolean => waiting.length > 0 && (waiting.length >= most || span.at() - waiting[0]!.at >= span.most);
  let failure: { error: unknown } | null = null;
  try {
    for (let more = true; more || waiting.length > 0; ) {
      while (more && !full()) {
        try {
          const next = await source.next();
          if (next.done === true) more = false;
          else waiting.push({ item: next.value, result: begun(work(next.value)), at: span.at() });
        } catch (error) {
          failure = { error };
          more = false;
        }
      }
      const first = waiting.shift();
      if (first !== undefined) yield first;
    }
    if (failure !== null) throw failure.error;
  } finally {
    await source.return?.();
  }
}

/** Whoever awaits the result handles its error; after an earlier error nobody does. */
function begun<Result>(result: Promise<Result>): Promise<Result> {
  result.catch(() => {});
  return result;
}
