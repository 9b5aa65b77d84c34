/** The rows of a table as the lines of a dataset. */
import { type ExampleFile, exampleError } from '../../formats/example-refusal.ts';
import { jsonText } from '../../formats/json-text.ts';
import { toJsonValue } from '../../formats/json-value.ts';
import type { BadLine, Line } from '../../formats/lines.ts';
import { shown } from '../../formats/shown.ts';
import { COLUMN_TARGETS, type ColumnMapping } from '../../formats/table-source.ts';
import { COLUMNS_NAMED, NotATable, type Table } from './table.ts';

const PARAM: ExampleFile = 'training_file';
/** Of these, text in a cell is the value itself; of the others it is JSON. */
const TEXTS = ['prompt', 'completion', 'chosen', 'rejected'];
/** The forms of examples, in the order in which they are looked for where no mapping is given. */
const FORMS = [['messages'], ['prompt', 'completion'], ['input', 'preferred_output', 'non_preferred_output'], ['prompt', 'chosen', 'rejected']];
const BESIDE = ['tools', 'chat_template_kwargs'];

/** @returns which column becomes which key. @throws NotATable if the table does not have them */
export function columnsOf({ columns }: Pick<Table, 'columns'>, mapping: ColumnMapping | undefined): ColumnMapping {
  const has = (name: string) => columns.includes(name);
  const names = columns.slice(0, COLUMNS_NAMED).map((name) => shown(name));
  const listed = `${names.join(', ')}${columns.length > COLUMNS_NAMED ? ', …' : ''}`;
  if (mapping !== undefined) {
    const missing = Object.values(mapping).find((name) => !has(name));
    if (missing !== undefined) throw new NotATable(`the table has no column ${shown(missing)}`, `Its columns are ${listed}.`);
    return mapping;
  }
  const form = FORMS.find((keys) => keys.every(has));
  if (form === undefined)
    throw new NotATable(
      `the table has the columns ${listed}: neither "messages" nor "prompt" and "completion"`,
      'Name the columns so, or say at the upload which ones they are, as in mapping[prompt]=question and mapping[completion]=answer.',
    );
  return Object.fromEntries([...form, ...BESIDE.filter(has)].map((key) => [key, key]));
}

/** @returns for each row its line, or why it cannot become one */
export async function* linesOf(table: Table, mapping: ColumnMapping): AsyncGenerator<Line | BadLine> {
  const targets = COLUMN_TARGETS.filter((target) => mapping[target] !== undefined);
  for await (const row of table.rows(Object.values(mapping))) {
    const { number } = row;
    const refuse = (problem: string, hint: string): BadLine => ({ number, refusal: exampleError(PARAM, `line ${number} ${problem}`, hint) });
    if ('problem' in row) {
      yield refuse(`cannot be read: ${row.problem}`, row.hint);
      continue;
    }
    const pairs: string[] = [];
    let bad: BadLine | null = null;
    for (const target of targets) {
      const column = mapping[target]!;
      const cell = row.cells[column];
      const value = cellText(cell, TEXTS.includes(target));
      if (value instanceof Error)
        bad ??= refuse(`has a cell in the column ${shown(column)} that is no JSON: ${value.message}`, `It becomes "${target}": write JSON into it.`);
      else if (value !== null) pairs.push(`${JSON.stringify(target)}:${value}`);
    }
    yield bad ?? { number, text: `{${pairs.join(',')}}` };
  }
}

/** @returns the cell as JSON; null for one that is empty */
function cellText(cell: unknown, isText: boolean): string | null | Error {
  if (cell === null || cell === undefined) return null;
  if (typeof cell !== 'string') return jsonText(toJsonValue(plain(cell)));
  if (isText) return JSON.stringify(cell);
  if (cell.trim() === '') return null;
  try {
    JSON.parse(cell);
  } catch (error) {
    return error as Error;
  }
  // Line breaks in JSON stand between its tokens.
  return cell.replaceAll(/[\r\n]+/g, ' ');
}

/** What Parquet has and JSON has not. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'number' && !Number.isFinite(value)) return null;
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  return value;
}
