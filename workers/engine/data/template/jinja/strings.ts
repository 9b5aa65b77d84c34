/** What Python's strings do differently from JavaScript's: positions count code points, and white space is `str.isspace`'s. */

/** As str.isspace, for a pattern's brackets: without the byte order mark, with the information separators and next line. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const LEADING_SPACE = new RegExp(`^[${SPACE}]+`);
const SPACES = new RegExp(`[${SPACE}]+`);
const IS_SPACE = new RegExp(`[${SPACE}]`);
const SURROGATE = /[\ud800-\udfff]/;
/** As str.splitlines. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python ends lines at them
const LINE_END = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g;

const hasPairs = (text: string): boolean => SURROGATE.test(text);

/** `len(text)` */
export function codePointCount(text: string): number {
  if (!hasPairs(text)) return text.length;
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** The text as a sequence of code points: a string where each is one unit, else an array. */
export const codePoints = (text: string): string | string[] => (hasPairs(text) ? [...text] : text);

/** @param unit a position in UTF-16 units @returns the position in code points */
export const codePointPosition = (text: string, unit: number): number => (hasPairs(text) ? codePointCount(text.slice(0, unit)) : unit);

export type Side = 'strip' | 'lstrip' | 'rstrip';

/** @param characters the characters to strip; null for white space */
export function strip(text: string, side: Side, characters: string | null): string {
  if (characters === null) {
    const start = side === 'rstrip' ? text : text.replace(LEADING_SPACE, '');
    return side === 'lstrip' ? start : stripEnd(start, (character) => IS_SPACE.test(character));
  }
  const set = new Set(characters);
  let start = text;
  if (side !== 'rstrip') {
    let from = 0;
    for (const character of text) {
      if (!set.has(character)) break;
      from += character.length;
    }
    start = text.slice(from);
  }
  return side === 'lstrip' ? start : stripEnd(start, (character) => set.has(character));
}

/** Not by a pattern anchored at the end, which retries at every character: quadratic on long runs. */
function stripEnd(text: string, isStripped: (character: string) => boolean): string {
  let end = text.length;
  while (end > 0) {
    const low = text.charCodeAt(end - 1);
    const isPair = low >= 0xdc00 && low <= 0xdfff && end > 1 && text.charCodeAt(end - 2) >= 0xd800 && text.charCodeAt(end - 2) <= 0xdbff;
    const character = text.slice(end - (isPair ? 2 : 1), end);
    if (!isStripped(character)) break;
    end -= character.length;
  }
  return text.slice(0, end);
}

/** `text.split(separator, most)` @param separator null for runs of white space @param most number of splits; negative for all */
export function split(text: string, separator: string | null, most: number): string[] {
  if (separator === null) return splitAtSpace(text, most);
  const parts = text.split(separator);
  if (most < 0 || parts.length <= most + 1) return parts;
  return [...parts.slice(0, most), parts.slice(most).join(separator)];
}

function splitAtSpace(text: string, most: number): string[] {
  let rest = strip(text, 'lstrip', null);
  if (most < 0) {
    rest = stripEnd(rest, (character) => IS_SPACE.test(character));
    return rest === '' ? [] : rest.split(SPACES);
  }
  const parts: string[] = [];
  while (rest !== '') {
    const space = parts.length < most ? SPACES.exec(rest) : null;
    if (space === null) {
      // After the last split allowed, white space at the end stays.
      parts.push(parts.length < most ? stripEnd(rest, (character) => IS_SPACE.test(character)) : rest);
      break;
    }
    parts.push(rest.slice(0, space.index));
    rest = rest.slice(space.index + space[0].length);
  }
  return parts;
}

/** `text.rsplit(separator, most)` */
export function rsplit(text: string, separator: string | null, most: number): string[] {
  if (most < 0) return split(text, separator, most);
  if (separator !== null) {
    const parts = text.split(separator);
    if (parts.length <= most + 1) return parts;
    const first = parts.length - most;
    return [parts.slice(0, first).join(separator), ...parts.slice(first)];
  }
  const backwards = (part: string) => [...part].reverse().join('');
  return splitAtSpace(backwards(text), most).map(backwards).reverse();
}

/** `text.splitlines(keepends)` */
export function splitLines(text: string, keepEnds: boolean): string[] {
  const lines: string[] = [];
  let start = 0;
  for (const end of text.matchAll(LINE_END)) {
    const after = end.index + end[0].length;
    lines.push(text.slice(start, keepEnds ? after : end.index));
    start = after;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

/** `text.replace(old, by, most)` @param most negative for all */
export function replace(text: string, old: string, by: string, most: number): string {
  if (most === 0) return text;
  if (old === '') {
    const characters = [...text];
    const count = most < 0 ? characters.length + 1 : Math.min(most, characters.length + 1);
    return characters.map((character, index) => (index < count ? by + character : character)).join('') + (count > characters.length ? by : '');
  }
  const parts = text.split(old);
  if (most < 0 || parts.length <= most + 1) return parts.join(by);
  return parts.slice(0, most + 1).join(by) + old + parts.slice(most + 1).join(old);
}

/** The first character in upper case (ß becomes Ss), the rest in lower case. */
export function capitalize(text: string): string {
  const [first = '', ...rest] = text;
  const [head = '', ...tail] = first.toUpperCase();
  return head + tail.join('').toLowerCase() + rest.join('').toLowerCase();
}

/** `text.title()`: a letter after a non-letter in upper case, every other in lower case. */
export const title = (text: string): string => text.replace(/\p{L}+/gu, capitalize);

/** Jinja's `title` filter, where words end only at white space, a hyphen or an opening bracket. */
export const titleOfWords = (text: string): string =>
  text.replace(new RegExp(`[^-${SPACE}({[<]+`, 'gu'), (word) => {
    const [first = '', ...rest] = word;
    return first.toUpperCase() + rest.join('').toLowerCase();
  });

/** `text.islower()` and `text.isupper()`: has a cased character, and none of the other case. */
export const isLower = (text: string): boolean => /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text);
export const isUpper = (text: string): boolean => /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text);
