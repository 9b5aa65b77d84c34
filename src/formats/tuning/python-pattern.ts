/** Python's regular expressions, in which PEFT's fields name modules. RE2 runs them in linear time, so none can stop whoever evaluates it. */
import { RE2JS } from 're2js';
import { Refusal } from '../refusal.ts';

/** Longest pattern; a module's name has some 40 characters. */
export const MAX_PATTERN_LENGTH = 256;
/** Instructions of RE2's program for one pattern: `.{1000}` alone would have a thousand, and each is a step for each character of each name. */
const MAX_INSTRUCTIONS = 2_000;

/** What RE2 reads differently from Python: its own escapes and classes, an open lower bound, and flags within a pattern. */
const OTHERWISE = /\\[pPQEzC]|\[\[:|\{,|\(\?(?![:P])/;

/** Whether a whole text fits a pattern. */
export type Fits = (text: string) => boolean;

/**
 * @param source of `re.fullmatch`
 * @param options.within where the pattern stands in a larger one; default: alone
 * @throws Refusal `unsupported_pattern`
 */
export function pythonPattern(source: string, { param, within = (it) => it }: { param: string; within?: (source: string) => string }): Fits {
  const refuse = (why: string): never => {
    throw new Refusal('unsupported_pattern', `The pattern "${source}" cannot be used: ${why}`, {
      param,
      hint: 'Patterns are Python’s without lookaround, backreferences and flags, such as "model\\.layers\\.[0-3]\\..*_proj".',
    });
  };
  const special = OTHERWISE.exec(source.replaceAll('\\\\', ''));
  if (special !== null) refuse(`it has "${special[0]}"`);
  try {
    RE2JS.compile(source); // alone, so that a bracket cannot close one of the larger pattern
    const compiled = RE2JS.compile(within(source));
    if (compiled.programSize() > MAX_INSTRUCTIONS) refuse('it is too large');
    return (text) => compiled.matches(text);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    return refuse((error as Error).message);
  }
}
