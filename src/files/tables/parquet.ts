import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { NotATable, type Row, type Table } from './table.ts';

/** A group of rows is unpacked as a whole, which takes a few times as much memory. */
const MAX_GROUP_BYTES = 128 * 1024 ** 2;

/** pandas writes groups of at most a million rows. */
const MAX_GROUP_ROWS = 2_000_000;

/** A page that says it is larger is a mistake or an attack. */
const bounded = Object.fromEntries(
  Object.entries(compressors).map(([name, unpack]) => [
    name,
    (input: Uint8Array, outputLength: number) => {
      if (outputLength > MAX_GROUP_BYTES) throw new Error(`a page of it unpacks to ${outputLength} bytes`);
      return unpack(input, outputLength);
    },
  ]),
);

/** @param file its parts are read as they are needed. @throws NotATable */
export async function openParquet(file: AsyncBuffer): Promise<Table> {
  const metadata = await readable(() => parquetMetadataAsync(file));
  const columns = metadata.schema.length === 0 ? [] : topLevel(metadata);

  async function* rows(wanted: string[]): AsyncGenerator<Row> {
    let rowStart = 0;
    for (const [index, group] of metadata.row_groups.entries()) {
      const rowEnd = rowStart + Number(group.num_rows);
      const bytes = group.columns.reduce((sum, { meta_data: column }) => {
        const isWanted = column !== undefined && wanted.includes(column.path_in_schema[0]!);
        return isWanted ? sum + Number(column.total_uncompressed_size) : sum;
      }, 0);
      if (bytes > MAX_GROUP_BYTES || rowEnd - rowStart > MAX_GROUP_ROWS)
        throw new NotATable(
          `row group ${index + 1} has ${rowEnd - rowStart} rows and ${Math.round(bytes / 1024 ** 2)} MB; the limit is ${MAX_GROUP_ROWS} and ${MAX_GROUP_BYTES / 1024 ** 2} MB`,
          'Write the table with smaller groups (in pandas: to_parquet(path, row_group_size=10000)).',
        );
      const read = await readable(() => parquetReadObjects({ file, metadata, columns: wanted, rowStart, rowEnd, compressors: bounded }));
      for (const [offset, cells] of read.entries()) yield { number: rowStart + offset + 1, cells };
      rowStart = rowEnd;
    }
  }
  return { columns, rows };
}

/** The names of the columns. The schema is a tree, written depth first, that begins with its root. */
function topLevel({ schema }: FileMetaData): string[] {
  const names: string[] = [];
  for (let index = 1, inside = 0; index < schema.length; index++) {
    const { name, num_children: children = 0 } = schema[index]!;
    if (inside === 0) names.push(name);
    else inside -= 1;
    inside += children;
  }
  return names;
}

/** The store's errors have a code or a name; those of the parser are plain. */
async function readable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isOfParser =
      error instanceof Error && ['Error', 'RangeError', 'TypeError'].includes(error.name) && !('code' in error) && !('$metadata' in error);
    if (!isOfParser) throw error;
    throw new NotATable(
      `the file cannot be read as a Parquet table: ${error.message}`,
      'Write it again, with the codec snappy or zstd, or export it as JSON Lines.',
    );
  }
}
