/** The prompt of two answers that do not name it: what both begin with, as TRL takes it. */
import type { At } from './chat-message.ts';
import { commonPrefixLength } from './common-prefix.ts';

const PROMPT_HINT = 'Both answers must begin with the same prompt, or the line needs a "prompt" of its own.';

/** @returns how many messages both begin with. @throws ExampleRefusal if they share none, or one answer has nothing else */
export function commonMessages(chosen: readonly unknown[], rejected: readonly unknown[], at: At): number {
  const { name, fail } = at;
  const shared = commonPrefixLength(
    chosen.map((message) => JSON.stringify(message)),
    rejected.map((message) => JSON.stringify(message)),
  );
  if (shared === 0) throw fail(`${name} has answers whose prompts differ, from their first message on`, PROMPT_HINT, { field: 'rejected' });
  if (shared === chosen.length && shared === rejected.length) throw sameAnswers(at);
  if (shared === Math.min(chosen.length, rejected.length)) {
    const key = shared === chosen.length ? 'chosen' : 'rejected';
    throw fail(`${name} has an empty answer in "${key}"`, 'The other one begins with all of its messages.', { field: key });
  }
  return shared;
}

/** The space before the answers belongs to them. @throws ExampleRefusal if they share nothing */
export function commonText(chosen: string, rejected: string, { name, fail }: At): { prompt: string; chosen: string; rejected: string } {
  let shared = commonPrefixLength(chosen, rejected);
  if (shared === 0) throw fail(`${name} has answers whose prompts differ, from their first character on`, PROMPT_HINT, { field: 'rejected' });
  const isCut = (at: number) => /[\uD800-\uDBFF]/.test(chosen.charAt(at - 1)); // in the middle of a surrogate pair
  if (chosen.charAt(shared - 1) === ' ' || isCut(shared)) shared -= 1;
  return { prompt: chosen.slice(0, shared), chosen: chosen.slice(shared), rejected: rejected.slice(shared) };
}

export const sameAnswers = ({ name, fail }: At) => fail(`${name} has two answers that are the same`, 'Leave the line out: neither answer is better.');
