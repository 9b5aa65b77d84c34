/** A template may come from anyone, so what one rendering may do is bounded. */
import { TemplateError, TemplateTooSlow } from './error.ts';

/** Characters of a text that one operation makes: more than a line of MAX_LINE_BYTES needs, less than fills the memory. */
export const MAX_LENGTH = 64 * 2 ** 20;
/** Items of a list that one operation makes: a line has no more characters. */
const MAX_ITEMS = 8 * 2 ** 20;
/** Characters that one rendering prints. */
export const MAX_OUTPUT = 64 * 2 ** 20;
/** Statements and loop rounds of one rendering: seconds, not hours. The longest conversation needs a few hundred thousand. */
export const MAX_STEPS = 20_000_000;
/** Processor time of all renderings of one conversation: few steps can each copy megabytes. The longest conversation needs a second or two. */
export const MAX_RENDER_MS = 20_000;
/** Operations between two looks at the clock; each makes at most MAX_LENGTH characters, which takes a tenth of a second. */
const LOOK_EVERY = 16;
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

/** The time that one conversation's renderings may take together. */
export class TimeLimit {
  readonly #startedMs = performance.now();
  readonly #startedUsage = process.cpuUsage();
  #untilLook = LOOK_EVERY;

  /** @param maxMs shorter, for tests */
  constructor(private readonly maxMs = MAX_RENDER_MS) {}

  /** Call for each operation. @throws TemplateTooSlow when the time is over */
  check(): void {
    this.#untilLook -= 1;
    if (this.#untilLook > 0) return;
    this.#untilLook = LOOK_EVERY;
    if (performance.now() - this.#startedMs < this.maxMs) return;
    // A process that was stopped or had to wait for others did not compute all that time.
    const { user, system } = process.cpuUsage(this.#startedUsage);
    if ((user + system) / 1000 >= this.maxMs) throw new TemplateTooSlow(`it computes for more than ${this.maxMs / 1000} seconds`);
  }
}
