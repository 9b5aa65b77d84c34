/** A template may come from anyone, so what one rendering may do is bounded. */
import { TemplateError } from './error.ts';

/** Characters of a text that one operation makes: more than a line of MAX_LINE_BYTES needs, less than fills the memory. */
export const MAX_LENGTH = 64 * 2 ** 20;
/** Items of a list that one operation makes: a line has no more characters. */
const MAX_ITEMS = 8 * 2 ** 20;
/** Characters that one rendering prints. */
export const MAX_OUTPUT = 64 * 2 ** 20;
/** Statements and loop rounds of one rendering: seconds, not hours. The longest conversation needs a few hundred thousand. */
export const MAX_STEPS = 20_000_000;
/** Macros that call each other; Python stops near 250. */
export const MAX_CALL_DEPTH = 200;
/** Jinja's sandbox allows no longer range. */
export const MAX_RANGE = 100_000;
/** Bits of an integer: Python refuses to print more than 4,300 digits. */
export const MAX_INTEGER_BITS = 16_384;

/** @throws TemplateError if an operation would make a text of more than MAX_LENGTH */
export function checkLength(length: number): void {
  if (length > MAX_LENGTH) throw new TemplateError(`it makes a text of ${length} characters; the limit is ${MAX_LENGTH}`);
}

/** @throws TemplateError if an operation would make a list of more than MAX_ITEMS */
export function checkItems(count: number): void {
  if (count > MAX_ITEMS) throw new TemplateError(`it makes a list of ${count} items; the limit is ${MAX_ITEMS}`);
}
