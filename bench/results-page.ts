/** Reads and writes docs/results.md, where each benchmark has its own part between two markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

const PAGE = join(import.meta.dirname, '../docs/results.md');

const begin = (name: string): string => `<!-- ${name} -->\n`;
const end = (name: string): string => `\n<!-- /${name} -->`;

/** @throws Error if the page has no such part */
export function readResult(name: string): string {
  const part = readFileSync(PAGE, 'utf8').split(begin(name))[1]?.split(end(name))[0];
  if (part === undefined) throw new Error(`docs/results.md has no part ${begin(name).trim()} … ${end(name).trim()}`);
  return part;
}

export function writeResult(name: string, content: string): void {
  const old = `${begin(name)}${readResult(name)}${end(name)}`;
  writeFileSync(
    PAGE,
    readFileSync(PAGE, 'utf8').replace(old, () => `${begin(name)}${content}${end(name)}`),
  );
}

/** A table in Markdown. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

export const thisMachine = (): string => `${cpus().length} cores of ${cpus()[0]?.model.trim() ?? 'an unknown processor'}`;
