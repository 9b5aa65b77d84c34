/** Objects on their way at the same time. */
const AT_ONCE = 8;

/** Does the work for every item, for a few at a time. @throws the first error */
export async function forAll<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items].values();
  const workWaiting = async () => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, workWaiting));
}
