/**
 * Reads a table of facts written as lines of `a | b | c`.
 * @throws Error naming a line with too few or too many cells
 */
export function rows<Column extends string>(table: string, columns: readonly Column[]): Record<Column, string>[] {
  return table
    .trim()
    .split('\n')
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      if (cells.length !== columns.length) throw new Error(`"${line}" has ${cells.length} cells instead of ${columns.length}`);
      return Object.fromEntries(columns.map((column, i) => [column, cells[i]])) as Record<Column, string>;
    });
}
