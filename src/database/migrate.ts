import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

/** The lock that Prisma's own `migrate deploy` takes, so that the two never run at once. */
const PRISMA_MIGRATION_LOCK = 72707369;

export const migrationsDir = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

/**
 * Applies the committed migrations that this database lacks, each in its own transaction, and records them as Prisma
 * does, so that `prisma migrate status` and `deploy` agree. Plain SQL, because Prisma's CLI needs a native engine that
 * closed networks cannot download.
 * @returns the names of the newly applied migrations
 * @throws Error when the file of an applied migration has changed since
 */
export async function migrate(databaseUrl: string, dir = migrationsDir): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [PRISMA_MIGRATION_LOCK]);
    await client.query(migrationsTable);
    const applied = await appliedChecksums(client);
    const newlyApplied: string[] = [];
    for (const { name, sql } of await committedMigrations(dir)) {
      const checksum = createHash('sha256').update(sql).digest('hex');
      const recorded = applied.get(name);
      if (recorded === undefined) {
        await apply(client, { name, sql, checksum });
        newlyApplied.push(name);
      } else if (recorded !== checksum) {
        throw new Error(`The migration ${name} has changed since it was applied to this database; restore its file and add a new migration instead`);
      }
    }
    return newlyApplied;
  } finally {
    await client.end(); // releases the lock with the session
  }
}

const migrationsTable = `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
  id VARCHAR(36) PRIMARY KEY NOT NULL,
  checksum VARCHAR(64) NOT NULL,
  finished_at TIMESTAMPTZ,
  migration_name VARCHAR(255) NOT NULL,
  logs TEXT,
  rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  applied_steps_count INTEGER NOT NULL DEFAULT 0
)`;

async function appliedChecksums(client: pg.Client): Promise<Map<string, string>> {
  const { rows } = await client.query<{ migration_name: string; checksum: string }>(
    'SELECT migration_name, checksum FROM "_prisma_migrations" WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  );
  return new Map(rows.map((row) => [row.migration_name, row.checksum]));
}

export async function committedMigrations(dir: string): Promise<{ name: string; sql: string }[]> {
  const entries = await readdir(dir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(names.sort().map(async (name) => ({ name, sql: await readFile(join(dir, name, 'migration.sql'), 'utf8') })));
}

async function apply(client: pg.Client, { name, sql, checksum }: { name: string; sql: string; checksum: string }): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(sql);
    await client.query(
      'INSERT INTO "_prisma_migrations" (id, checksum, migration_name, finished_at, applied_steps_count) VALUES ($1, $2, $3, now(), 1)',
      [randomUUID(), checksum, name],
    );
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw new Error(`The migration ${name} failed and was rolled back`, { cause: error });
  }
}
