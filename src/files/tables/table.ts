/** How many columns a message or a warning names. */
export const COLUMNS_NAMED = 20;

/** A row of a table; a cell of a CSV is text, one of a Parquet table any value. */
export interface Row {
  /** From 1, without the header. */
  number: number;
  cells: Record<string, unknown>;
}

/** A row that cannot be read. */
export interface BadRow {
  number: number;
  problem: string;
  hint: string;
}

export interface Table {
  columns: string[];
  /** @param columns those that are wanted */
  rows(columns: string[]): AsyncGenerator<Row | BadRow>;
}

/** Thrown for a file that is not the table that it should be. */
export class NotATable extends Error {
  override readonly name = 'NotATable';
  constructor(
    problem: string,
    readonly hint: string,
  ) {
    super(problem);
  }
}
