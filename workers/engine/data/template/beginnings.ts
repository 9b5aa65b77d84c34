/** The beginnings of a conversation, told by how far the whole conversation's text is the same. */
import type { Beginning } from './jinja/prefix-renderer.ts';

/** A rendering: a number is the length of a prefix of the whole conversation's, in UTF-16 units; otherwise its own text. */
export type Rendered = number | string;

/** @returns the same text by another whole, of which only the first `common` units are the same */
export function rebased({ shared, rest }: Beginning, own: string, common: number): Beginning {
  return shared <= common ? { shared, rest } : { shared: common, rest: own.slice(common, shared) + rest };
}

/** @param beginning a text that may go on as the whole does */
export function inWhole({ shared, rest }: Beginning, whole: string): Rendered {
  return whole.startsWith(rest, shared) ? shared + rest.length : whole.slice(0, shared) + rest;
}
