/** More are asked for again: each takes some hundred bytes. */
const MAX_REMEMBERED = 10_000;

export interface Remembered<T> {
  get(key: string): Promise<T | null>;
  forget(): void;
}

/** Asks again only after some time. An answer of null is not remembered: what was asked for may be created now, and keys that do not exist fill no memory. */
export function remembered<T>(ask: (key: string) => Promise<T | null>, forMs: number): Remembered<T> {
  const answers = new Map<string, { answer: Promise<T | null>; untilMs: number }>();
  return {
    async get(key) {
      const nowMs = performance.now();
      const known = answers.get(key);
      if (known !== undefined && nowMs < known.untilMs) return known.answer;
      const asked = { answer: ask(key), untilMs: nowMs + forMs };
      answers.delete(key);
      answers.set(key, asked);
      if (answers.size > MAX_REMEMBERED) answers.delete(answers.keys().next().value!);
      const remove = () => {
        if (answers.get(key) === asked) answers.delete(key);
      };
      const answer = await asked.answer.catch((error: unknown) => {
        remove();
        throw error;
      });
      if (answer === null) remove();
      return answer;
    },
    forget: () => answers.clear(),
  };
}
