import Type from 'typebox';

/** What a file can be; JSON Lines is what jobs read, the others become it. */
export const FILE_FORMATS = ['jsonl', 'csv', 'parquet'] as const;
export type FileFormat = (typeof FILE_FORMATS)[number];
export const isFileFormat = (text: string): text is FileFormat => (FILE_FORMATS as readonly string[]).includes(text);

/** The keys of an example that a column can become. */
export const COLUMN_TARGETS = [
  ...['messages', 'prompt', 'completion', 'tools', 'chat_template_kwargs'],
  ...['input', 'preferred_output', 'non_preferred_output', 'chosen', 'rejected', 'label'],
] as readonly string[];

/** Longest name of a column. */
export const MAX_COLUMN_LENGTH = 255;

const column = Type.Optional(Type.String({ minLength: 1, maxLength: MAX_COLUMN_LENGTH }));

/** Key of an example → the column that becomes it. */
export const ColumnMapping = Type.Unsafe<ColumnMapping>(
  Type.Object(Object.fromEntries(COLUMN_TARGETS.map((target) => [target, column])), {
    title: 'ColumnMapping',
    additionalProperties: false,
    minProperties: 1,
    description: 'For a table, which column becomes which key of an example. Default: the columns that have the names of the keys.',
  }),
);
export type ColumnMapping = Record<string, string>;

/** What an upload says of its content. */
export interface TableSource {
  format?: FileFormat;
  mapping?: ColumnMapping;
}

const MAGIC = 'PAR1';
const CSV_NAME = /\.csv$/i;

/** Whether what an upload says, or its file's name, makes it a table. */
export const isTable = ({ format }: TableSource, filename: string): boolean =>
  format === undefined ? CSV_NAME.test(filename) || /\.parquet$/i.test(filename) : format !== 'jsonl';

/** @param start the first bytes of the file */
export function formatOf({ format }: TableSource, filename: string, start: Uint8Array): FileFormat {
  if (format !== undefined) return format;
  if (Buffer.from(start.subarray(0, MAGIC.length)).toString('latin1') === MAGIC) return 'parquet';
  return CSV_NAME.test(filename) ? 'csv' : 'jsonl';
}
