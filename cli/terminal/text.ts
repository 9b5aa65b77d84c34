/** Text for terminals: colours where they are wanted, nothing that a terminal would obey. */
import { styleText } from 'node:util';
import { withEscapes } from '../../src/formats/visible.ts';

type Style = Parameters<typeof styleText>[0];
export type Paint = (style: Style, text: string) => string;

/** `NO_COLOR`, `FORCE_COLOR` and `TERM=dumb` count, as everywhere in Node. */
export const painterFor = (stream: NodeJS.WriteStream): Paint => {
  const isColoured = process.env['FORCE_COLOR'] === undefined ? stream.isTTY && stream.hasColors() : process.env['FORCE_COLOR'] !== '0';
  return isColoured && !process.env['NO_COLOR'] ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text;
};

/** Control characters but tab and line feed: what others wrote must not move the cursor, change colours or the window's title. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** @returns text from elsewhere as it may be shown */
export const safe = (text: string): string => withEscapes(text.replaceAll('\r\n', '\n'), OBEYED);

/** The same in one line. */
export const safeLine = (text: string): string => safe(text).replaceAll(/\s*\n\s*/g, ' ');

export const widthOf = (stream: NodeJS.WriteStream): number => stream.columns || 80;

/** @returns the text, or its beginning, in at most so many columns */
export const clipped = (text: string, columns: number): string =>
  [...text].length > columns ? `${[...text].slice(0, columns - 1).join('')}…` : text;

/** A header and rows in aligned columns. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], paint: Paint): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => [...(row[column] ?? '')].length)));
  const line = (row: readonly string[]) => row.map((cell, column) => (column === row.length - 1 ? cell : pad(cell, widths[column]!))).join('  ');
  return [paint('bold', line(header)), ...rows.map(line)].join('\n');
}

const pad = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - [...text].length));

/** A title's lines below each other: `model   graft-tiny`. Values that are null are left out. */
export function fields(pairs: readonly (readonly [string, string | number | null | undefined])[], paint: Paint): string {
  const shown = pairs.filter((pair): pair is [string, string | number] => pair[1] !== null && pair[1] !== undefined && pair[1] !== '');
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${paint('dim', name.padEnd(width))}  ${safeLine(String(value))}`).join('\n');
}
