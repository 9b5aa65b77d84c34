/** @returns asks again only when the last answer is older than that; those who ask meanwhile get the same answer */
export function atMostEvery<T>(periodMs: number, ask: () => Promise<T>): () => Promise<T> {
  let last: { answer: Promise<T>; atMs: number } | null = null;
  return () => {
    if (last === null || performance.now() - last.atMs >= periodMs) last = { answer: ask(), atMs: performance.now() };
    return last.answer;
  };
}
