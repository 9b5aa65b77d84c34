import type { SeededRandom } from '../seeded-random.ts';

/** One question and its answer. */
export interface Exchange {
  /** Names kind, subject and phrasing; whole keys are held out of the training text. */
  key: string;
  ask: string;
  answer: string;
  /** A question about the same subject that only makes sense after this one ("What does it eat?"). */
  followUp?: (random: SeededRandom) => Exchange;
}

/** A family of questions: makes one at random. */
export interface QuestionKind {
  /** How often it is asked, relative to the others. */
  weight: number;
  make(random: SeededRandom): Exchange;
}

/** "a cow", "an owl" */
export const withArticle = (noun: string): string => (/^[aeiou]/i.test(noun) && !/^(uni|use)/i.test(noun) ? `an ${noun}` : `a ${noun}`);

/** Puts the first letter in upper case. */
export const capitalise = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** Picks a phrasing and puts the subject in place of its `_`. The key names kind, subject and phrasing. */
export function phrase(random: SeededRandom, kind: string, subject: string, phrasings: readonly string[], answer: string): Exchange {
  const index = random.integer(0, phrasings.length - 1);
  return { key: `${kind}|${subject}|${index}`, ask: capitalise(phrasings[index]!.replaceAll('_', subject)), answer };
}
