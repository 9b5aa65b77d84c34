/** Where a turn begins in a text that does not begin with what the model is shown in use. */
import { contextOf } from './epilogue.ts';
import { type Source, TemplateRefusal } from './turns.ts';

const OPENS_REASONING = '<think>';
/** A block of reasoning that the generation prompt opens, or opens and closes. */
const OPENED_REASONING = /<think>\s*(?:<\/think>\s*)?$/;
const LONGEST_OPENING = 64;

/**
 * Generation prompts of thinking models open the reasoning (`<think>`), so that the model need not. As in TRL's templates, it is learned all the same.
 * @param before what the model is shown when it writes the turn
 * @returns where the turn begins in it: at its end, or before the reasoning that it opens
 */
export function beginsReasoning(before: string): number {
  const end = before.slice(-LONGEST_OPENING);
  const opened = OPENED_REASONING.exec(end);
  return opened === null ? before.length : before.length - end.length + opened.index;
}

/** How much of the message before a turn must be recognised. */
const RECOGNISED_CHARACTERS = 16;

/**
 * @param before what the model is shown when it writes the turn
 * @param text   begins with the same messages and holds the turn, or the beginning of it
 * @returns the text with the turn, and where it begins
 */
export function withBeginning(message: number, before: string, text: string, source: Source): { text: string; start: number } {
  if (text.startsWith(before)) return { text, start: beginsReasoning(before) };
  const reasoning = beginsReasoning(before);
  if (reasoning < before.length && text.startsWith(before.slice(0, reasoning) + OPENS_REASONING)) return { text, start: reasoning };
  // The turn does not begin as the generation prompt ends (DeepSeek-R1's). As with TRL's template for it, all that the turn adds is learned.
  const context = contextOf(message, before, source).text;
  if (context !== '' && text.startsWith(context)) return { text, start: context.length };
  // The messages before the turn are rendered differently (Mistral prints the system message only before a user's message that is the last): the turn
  // follows what the model is shown in use.
  const recognised = longestSuffixWithin(text, before);
  const last = source.conversation.messages[message - 1]?.content?.trim().slice(-RECOGNISED_CHARACTERS) ?? '';
  if (last !== '' && recognised.suffix.includes(last)) return { text: before + text.slice(recognised.end), start: beginsReasoning(before) };
  throw new TemplateRefusal(
    `has an assistant turn (message ${message + 1}) that cannot be separated from the rest, because the model's chat template renders the messages before it differently when it is there; mark assistant turns with {% generation %} in the template`,
  );
}

/** @returns the longest suffix of `of` that occurs in the text, and the end of its last occurrence there. If one occurs, so do all shorter ones. */
function longestSuffixWithin(text: string, of: string): { suffix: string; end: number } {
  let [found, missing] = [0, Math.min(of.length, text.length) + 1];
  while (missing - found > 1) {
    const length = (found + missing) >> 1;
    if (text.includes(of.slice(-length))) found = length;
    else missing = length;
  }
  const suffix = found === 0 ? '' : of.slice(-found);
  return { suffix, end: text.lastIndexOf(suffix) + found };
}
