import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { arrayBuffer } from 'node:stream/consumers';
import { type FileProblem, type JudgedFile, judgeAll, unreadableFile } from '../../formats/judged-file.ts';
import type { BadLine, Line } from '../../formats/lines.ts';
import type { ColumnMapping, FileFormat } from '../../formats/table-source.ts';
import { keys } from '../../object-store/keys.ts';
import { ObjectNotFound, type ObjectStore } from '../../object-store/object-store.ts';
import type { Converted } from '../validation-store.ts';
import { openCsv } from './csv.ts';
import { columnsOf, linesOf } from './lines.ts';
import { openParquet } from './parquet.ts';
import { COLUMNS_NAMED, NotATable, type Table } from './table.ts';

export interface StoredTable {
  fileId: string;
  storageKey: string;
  format: Exclude<FileFormat, 'jsonl'>;
  mapping: ColumnMapping | undefined;
  objectStore: ObjectStore;
}

/** Makes JSON Lines of a table, and judges them as they are written. A table in which problems are found stays what it is. */
export async function convertTable(stored: StoredTable): Promise<{ judged: JudgedFile; converted: Converted | null }> {
  const { fileId, objectStore } = stored;
  try {
    const table = await open(stored);
    const mapping = columnsOf(table, stored.mapping);
    const written = writeLines(objectStore, keys.newConverted(fileId));
    let judged: JudgedFile;
    try {
      judged = inRows(await judgeAll(written.copying(linesOf(table, mapping))), mapping);
    } catch (error) {
      await written.abandon();
      throw error;
    }
    if (judged.problemCount > 0) {
      await written.abandon();
      return { judged, converted: null };
    }
    const left = table.columns.filter((column) => !Object.values(mapping).includes(column));
    if (left.length > 0) judged.warnings.push(leftOut(left));
    return { judged, converted: await written.finish() };
  } catch (error) {
    if (!(error instanceof NotATable)) throw error;
    return { judged: unreadableFile(error.message, error.hint), converted: null };
  }
}

async function open({ storageKey, format, objectStore }: StoredTable): Promise<Table> {
  if (format === 'csv') return openCsv((await objectStore.get(storageKey)) as AsyncIterable<Uint8Array>);
  const byteLength = await objectStore.size(storageKey);
  if (byteLength === null) throw new ObjectNotFound(storageKey);
  const slice = async (start: number, end = byteLength) => arrayBuffer(await objectStore.get(storageKey, { start, end: end - 1 }));
  return openParquet({ byteLength, slice });
}

/** Writes lines to an object while somebody else reads them. */
function writeLines(objectStore: ObjectStore, storageKey: string) {
  const hash = createHash('sha256');
  const body = new PassThrough();
  const storing = objectStore.put(storageKey, body);
  storing.catch((error: unknown) => body.destroy(error as Error));
  body.on('error', () => {}); // thrown where it is written to, or by finish
  return {
    async *copying(lines: AsyncIterable<Line | BadLine>): AsyncGenerator<Line | BadLine> {
      for await (const line of lines) {
        if ('text' in line) {
          const bytes = Buffer.from(`${line.text}\n`);
          hash.update(bytes);
          if (body.errored !== null) throw body.errored;
          if (!body.write(bytes)) await once(body, 'drain');
        }
        yield line;
      }
    },
    async finish(): Promise<Converted> {
      body.end();
      const { sizeBytes } = await storing;
      return { storageKey, sizeBytes, sha256: hash.digest('hex') };
    },
    async abandon(): Promise<void> {
      body.destroy(new Error('the table has problems'));
      await storing.catch(() => {});
      await objectStore.delete(storageKey);
    },
  };
}

/** Problems are told of the table that the user has, not of the lines that it would become. */
function inRows(judged: JudgedFile, mapping: ColumnMapping): JudgedFile {
  const problems = judged.problems.map((problem): FileProblem => {
    const column = problem.message === null && problem.field !== null ? (mapping[problem.field] ?? null) : null;
    const named = column === null || problem.problem.includes(JSON.stringify(column)) ? '' : ` (column ${JSON.stringify(column)})`;
    return { ...problem, row: problem.line, column, problem: `${problem.problem.replace(/^line (\d+)/, 'row $1')}${named}` };
  });
  return { ...judged, problems };
}

const leftOut = (columns: string[]): string =>
  `Columns that were left out: ${columns
    .slice(0, COLUMNS_NAMED)
    .map((name) => JSON.stringify(name))
    .join(', ')}${columns.length > COLUMNS_NAMED ? ' and others' : ''}.`;
