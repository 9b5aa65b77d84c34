import { Refusal } from '../formats/refusal.ts';
import type { Answer } from './messages.ts';

export const lost = (what: string): Refusal =>
  new Refusal('generation_lost', what, { hint: 'Send the request again: what was generated so far is not kept.' });

export type Inbox = ReturnType<typeof openInbox>;

/** Answers in their order, for one reader. */
export function openInbox() {
  const answers: Answer[] = [];
  let expected = 0;
  let failure: Error | null = null;
  let wake = () => {};
  return {
    put(seq: number, answer: Answer): void {
      if (seq === expected++) answers.push(answer);
      else failure ??= lost('A part of the answer was lost between the worker and the API');
      wake();
    },
    fail(error: Error): void {
      failure ??= error;
      wake();
    },
    async next(): Promise<Answer> {
      for (;;) {
        if (answers.length > 0) return answers.shift()!;
        if (failure !== null) throw failure;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
