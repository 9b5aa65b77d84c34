/** Every row of the database as lines of JSON, out of one snapshot, and back. */
import { createReadStream, createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';

/** Rows in memory at a time. */
const ROWS_AT_ONCE = 500;
/** A token receipt can have megabytes: a batch ends with this many bytes, however few its rows are. */
const BATCH_BYTES = 4 * 1024 * 1024;
const NEWLINE = 0x0a;

/** Not saved: they say which machines are running now, and which uploads have not become a file yet. */
const OF_THE_MOMENT = ['workers', 'base_models', 'uploads', 'upload_parts'];
const MIGRATIONS = '_prisma_migrations';

export interface SavedTable {
  name: string;
  columns: string[];
  rows: number;
}

/** The database at one moment, while others write to it. */
export interface Snapshot {
  migrations: string[];
  /** A table comes after those that it refers to. */
  tables: string[];
  /** Writes a table's rows, one line of JSON each. */
  save(table: string, path: string): Promise<SavedTable>;
  /** Keys of uploaded and result files. A deleted file may be read by a job until it ends. */
  fileKeys(which: 'all' | 'not deleted'): Promise<string[]>;
  jobIds(): Promise<string[]>;
  /** Of the jobs' uploads that count: see `keys`. */
  folders(): Promise<string[]>;
  /** Keys, files and models by which the snapshot names objects, to find out later which were deleted meanwhile. */
  names(): Promise<string[]>;
  close(): Promise<void>;
}

/** @param databaseUrl `postgresql://…` */
export async function openSnapshot(databaseUrl: string): Promise<Snapshot> {
  const client = await connected(databaseUrl);
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const values = async (sql: string): Promise<string[]> => (await client.query<{ value: string }>(sql)).rows.map(({ value }) => value);
  const migrations = await migrationsOf(client);
  const tables = (await tablesInOrder(client)).filter((name) => name !== MIGRATIONS && !OF_THE_MOMENT.includes(name));
  return {
    migrations,
    tables,
    async save(table, path) {
      const columns = await values(
        `SELECT column_name AS value FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name = '${table}' ORDER BY ordinal_position`,
      );
      let rows = 0;
      async function* lines(): AsyncGenerator<string> {
        await client.query(`DECLARE saved CURSOR FOR SELECT row_to_json(t)::text AS value FROM "${table}" t`);
        for (;;) {
          const batch = await values(`FETCH ${ROWS_AT_ONCE} FROM saved`);
          if (batch.length === 0) break;
          rows += batch.length;
          yield batch.map((row) => `${row}\n`).join('');
        }
        await client.query('CLOSE saved');
      }
      await pipeline(Readable.from(lines()), createWriteStream(path, { flags: 'wx' }));
      return { name: table, columns, rows };
    },
    fileKeys: (which) => values(`SELECT storage_key AS value FROM files ${which === 'all' ? '' : 'WHERE deleted_at IS NULL'}`),
    jobIds: () => values('SELECT id AS value FROM jobs'),
    folders: () =>
      values(
        `SELECT folder AS value FROM checkpoints WHERE folder IS NOT NULL
         UNION SELECT adapter_folder FROM jobs WHERE adapter_folder IS NOT NULL`,
      ),
    names: () => values(NAMES),
    close: () => client.end(),
  };
}

/** What names an object and is not deleted. */
const NAMES = `SELECT id AS value FROM files WHERE deleted_at IS NULL
  UNION ALL SELECT id FROM checkpoints
  UNION ALL SELECT fine_tuned_model FROM jobs WHERE fine_tuned_model IS NOT NULL`;

/** @returns what names objects now */
export async function currentNames(databaseUrl: string): Promise<Set<string>> {
  const client = await connected(databaseUrl);
  try {
    return new Set((await client.query<{ value: string }>(NAMES)).rows.map(({ value }) => value));
  } finally {
    await client.end();
  }
}

/** @returns the migrations that a database has had, and whether it holds anything of a user: files, jobs or keys */
export async function stateOf(databaseUrl: string): Promise<{ migrations: string[]; isEmpty: boolean }> {
  const client = await connected(databaseUrl);
  try {
    const tables = await tablesInOrder(client);
    if (!tables.includes(MIGRATIONS)) return { migrations: [], isEmpty: true };
    const counted = ['files', 'jobs', 'api_keys'].filter((table) => tables.includes(table)).map((table) => `(SELECT count(*) FROM "${table}")`);
    const { rows: counts } = await client.query<{ sum: string }>(`SELECT ${['0', ...counted].join(' + ')} AS sum`);
    return { migrations: await migrationsOf(client), isEmpty: Number(counts[0]!.sum) === 0 };
  } finally {
    await client.end();
  }
}

/**
 * Writes all rows in one transaction, into a database that has the backup's migrations. Jobs that a worker had when they were saved are due at once.
 * @param pathOf the file of a table's rows
 */
export async function restoreRows(databaseUrl: string, tables: readonly SavedTable[], pathOf: (table: string) => string): Promise<void> {
  const client = await connected(databaseUrl);
  try {
    await client.query('BEGIN');
    // The first organization and project, which the migrations made: the backup has its own.
    for (const { name } of tables.toReversed()) await client.query(`DELETE FROM "${name}"`);
    for (const { name, columns, rows } of tables) {
      const list = columns.map((column) => `"${column}"`).join(', ');
      const insert = `INSERT INTO "${name}" (${list}) SELECT ${list} FROM json_populate_recordset(NULL::"${name}", $1::json)`;
      let written = 0;
      for await (const batch of batches(pathOf(name))) {
        await client.query(insert, [`[${batch.join(',')}]`]);
        written += batch.length;
      }
      if (written !== rows) throw new Error(`the backup has ${written} rows of "${name}", and its manifest says ${rows}`);
      await continueSequences(client, name);
    }
    // As if its worker had been silent for ever: the first round of the reconciler takes the job from it.
    await client.query('UPDATE jobs SET heartbeat_at = to_timestamp(0) WHERE worker_id IS NOT NULL');
    await client.query('COMMIT');
  } finally {
    await client.end(); // which rolls back what was not committed
  }
}

/** New rows get numbers above those that were restored. */
async function continueSequences(client: pg.Client, table: string): Promise<void> {
  const { rows } = await client.query<{ column: string; sequence: string }>(
    `SELECT column_name AS column, pg_get_serial_sequence('"${table}"', column_name) AS sequence FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = $1 AND pg_get_serial_sequence('"${table}"', column_name) IS NOT NULL`,
    [table],
  );
  for (const { column, sequence } of rows)
    await client.query(`SELECT setval($1, greatest(1, (SELECT coalesce(max("${column}"), 0) FROM "${table}")), true)`, [sequence]);
}

async function connected(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  return client;
}

async function migrationsOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`SELECT migration_name AS name FROM "${MIGRATIONS}" WHERE rolled_back_at IS NULL ORDER BY 1`);
  return rows.map(({ name }) => name);
}

async function tablesInOrder(client: pg.Client): Promise<string[]> {
  const { rows: tables } = await client.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1`,
  );
  const { rows: references } = await client.query<{ from: string; to: string }>(
    `SELECT a.relname AS from, b.relname AS to FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid JOIN pg_class b ON b.oid = c.confrelid
     WHERE c.contype = 'f'`,
  );
  const ordered: string[] = [];
  const visit = (name: string): void => {
    if (ordered.includes(name)) return;
    for (const { from, to } of references) if (from === name && to !== name) visit(to);
    ordered.push(name);
  };
  for (const { name } of tables) visit(name);
  return ordered;
}

/** The lines of a file, in batches. Split at line feeds alone: JSON may contain other line separators as they are. */
async function* batches(path: string): AsyncGenerator<string[]> {
  let batch: string[] = [];
  let batchBytes = 0;
  let pieces: Buffer[] = [];
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...pieces, chunk.subarray(start, end)]);
      pieces = [];
      start = end + 1;
      batch.push(line.toString());
      batchBytes += line.length;
      if (batch.length < ROWS_AT_ONCE && batchBytes < BATCH_BYTES) continue;
      yield batch;
      batch = [];
      batchBytes = 0;
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start));
  }
  if (batch.length > 0) yield batch;
}
