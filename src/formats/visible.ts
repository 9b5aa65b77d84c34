/** @returns the characters of the text that `which` matches written as JSON escapes, so that a reader sees them: NUL as \u0000 */
export const withEscapes = (text: string, which: RegExp): string =>
  text.replaceAll(which, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Control characters and halves of a surrogate pair, which a terminal or a log does not show. */
const INVISIBLE = /[\p{Cc}\p{Surrogate}]/gu;

/** @returns the text with control characters and halves of surrogate pairs as escapes, for messages that quote it */
export const visible = (text: string): string => withEscapes(text, INVISIBLE);
