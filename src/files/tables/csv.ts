import { pipeline, Readable } from 'node:stream';
import { CsvError, type Info, parse } from 'csv-parse';
import { FORMAT_BYTES, foreignFormat } from '../../formats/foreign-format.ts';
import { MAX_LINE_BYTES } from '../../formats/lines.ts';
import { type BadRow, NotATable, type Row, type Table } from './table.ts';

const QUOTES = 'Put quotes around a cell that has commas, quotes or line breaks, and write a quote in it twice (RFC 4180).';
const UTF8 = 'Save the file as UTF-8; in Excel, as "CSV UTF-8".';
/** A file with more consecutive rows that cannot be read is not taken for a table. */
const MAX_BROKEN_AT_ONCE = 1_000;

interface Parsed {
  record: string[];
  info: Info;
}

/** @param bytes a header line, then a row a line. @throws NotATable */
export async function openCsv(bytes: AsyncIterable<Uint8Array>): Promise<Table> {
  /** Rows that cannot be read, and how many records stand before each. */
  const broken: { records: number; problem: string }[] = [];
  const parser = parse({
    bom: true,
    info: true,
    skip_empty_lines: true,
    max_record_size: MAX_LINE_BYTES,
    skip_records_with_error: true,
    on_skip: (error) => {
      const { records = 0, message = 'cannot be read' } = (error ?? {}) as Partial<CsvError & { records: number }>;
      broken.push({ records, problem: message });
      if (broken.length > MAX_BROKEN_AT_ONCE) parser.destroy(new NotATable(`${broken.length} rows one after the other cannot be read`, QUOTES));
      return undefined;
    },
  });
  pipeline(Readable.from(textOf(bytes)), parser, () => {}); // its error is thrown where the rows are read
  const parsed = parser[Symbol.asyncIterator]() as AsyncIterableIterator<Parsed>;
  const next = async (): Promise<Parsed | null> => {
    try {
      const { value, done } = await parsed.next();
      return done === true ? null : value;
    } catch (error) {
      throw error instanceof CsvError ? new NotATable(error.message, QUOTES) : error;
    }
  };
  const header = await next();
  if (header === null) throw new NotATable('the table is empty', 'Its first line names the columns, each other line is an example.');
  const columns = header.record;

  async function* rows(): AsyncGenerator<Row | BadRow> {
    let number = 0;
    for (;;) {
      const found = await next();
      while (broken[0] !== undefined && (found === null || broken[0].records < found.info.records)) {
        number += 1;
        yield { number, problem: broken.shift()!.problem, hint: QUOTES };
      }
      if (found === null) return;
      number += 1;
      yield { number, cells: Object.fromEntries(columns.map((name, index) => [name, found.record[index]])) };
    }
  }
  return { columns, rows };
}

/** @throws NotATable for bytes that are no UTF-8 */
async function* textOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let isFirst = true;
  const decoded = (chunk?: Uint8Array): string => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch {
      throw new NotATable('the file is not UTF-8', UTF8);
    }
  };
  for await (const chunk of bytes) {
    const foreign = isFirst ? foreignFormat(chunk.subarray(0, FORMAT_BYTES)) : null;
    if (foreign !== null) throw new NotATable(`the file ${foreign.is}, not a table in CSV`, foreign.hint);
    isFirst = false;
    yield decoded(chunk);
  }
  yield decoded();
}
