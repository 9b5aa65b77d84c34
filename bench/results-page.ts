/** Reads and writes docs/results.md, where each benchmark has its own part between two markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { vectorInstructions } from '../workers/engine/machine/vector-instructions.ts';

const PAGE = join(import.meta.dirname, '../docs/results.md');

const begin = (name: string): string => `<!-- ${name} -->\n`;
const end = (name: string): string => `<!-- /${name} -->`;

/** @returns the page before the part's content, the content, and the page after it. @throws Error if the page has no such part */
function around(name: string): [before: string, content: string, after: string] {
  const page = readFileSync(PAGE, 'utf8');
  const start = page.indexOf(begin(name));
  const stop = page.indexOf(end(name), start);
  if (start === -1 || stop === -1) throw new Error(`docs/results.md has no part ${begin(name).trim()} … ${end(name)}`);
  const first = start + begin(name).length;
  return [page.slice(0, first), page.slice(first, stop), page.slice(stop)];
}

/** Whether the command is to write its part. */
export const isWriting = process.argv.includes('--write');

export const readResult = (name: string): string => around(name)[1].trimEnd();

export function writeResult(name: string, content: string): void {
  const [before, , after] = around(name);
  writeFileSync(PAGE, `${before}${content}\n${after}`);
}

/** A table in Markdown. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

/**
 * The table of a part with some rows replaced, for what takes hours and is measured in parts.
 * @param order the names of all rows, which are their first cells; rows with other names are dropped
 */
export function updatedTable(
  name: string,
  { head, rows, order }: { head: readonly string[]; rows: readonly string[][]; order: readonly string[] },
): string {
  const known = new Map(
    readResult(name)
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => line.slice(2, -2).split(' | '))
      .map((row) => [row[0] ?? '', row]),
  );
  for (const row of rows) known.set(row[0] ?? '', row);
  return table(
    head,
    order.flatMap((row) => (known.has(row) ? [known.get(row)!] : [])),
  );
}

/** Prints a part; with --write on the command line, it becomes the page's. */
export function publishResult(name: string, content: string): void {
  console.log(content);
  if (isWriting) writeResult(name, content);
}

/** The cores and the processor. Virtual machines give Intel's with a matrix unit, which decides how fast they multiply, the name of those without. */
export function thisMachine(): string {
  const cores = availableParallelism();
  const matrixUnit = vectorInstructions()?.includes('amx_bf16') === true ? ', with AMX' : '';
  return `${cores} ${cores === 1 ? 'core' : 'cores'} of ${cpus()[0]?.model.trim() ?? 'an unknown processor'}${matrixUnit}`;
}
