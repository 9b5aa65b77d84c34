import functionTimeout, { isTimeoutError } from 'function-timeout';
import { Ungraded } from './ungraded.ts';

/** With some texts, a pattern or a schema may never end, by accident or on purpose. Usual ones take less than a millisecond; a busy machine may add pauses. */
const MAX_MS = 1_000;

/**
 * Stops a function that takes too long, also in the middle of a regular expression.
 * @param what in words, for the message
 * @returns the same function, which then throws Ungraded
 */
export function inLimitedTime<Given extends unknown[], Result>(what: string, work: (...given: Given) => Result): (...given: Given) => Result {
  const limited = functionTimeout(work, { timeout: MAX_MS });
  return (...given) => {
    try {
      return limited(...given);
    } catch (error) {
      if (!isTimeoutError(error)) throw error;
      throw new Ungraded('other_error', `${what} took more than ${MAX_MS} ms with this sample`);
    }
  };
}
