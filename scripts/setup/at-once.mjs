import { availableParallelism } from 'node:os';

/**
 * Does `work` for every item, for as many at once as there are processors: a compiler takes 0.7 GB, and thirty of them more than some machines have.
 * @template T
 * @param {readonly T[]} items  begun in this order
 * @param {(item: T) => Promise<unknown>} work  the first failure is thrown, and nothing more is begun
 */
export async function eachAtOnce(items, work) {
  const waiting = [...items];
  let failed = false;
  const lane = async () => {
    for (let item = waiting.shift(); item !== undefined && !failed; item = waiting.shift())
      await work(item).catch((error) => {
        failed = true;
        throw error;
      });
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
}
