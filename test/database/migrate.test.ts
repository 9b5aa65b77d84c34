import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../../src/database/migrate.ts';
import { Prisma } from '../../src/generated/prisma/client.ts';
import { DEFAULT_PROJECT } from '../../src/ids.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from './embedded-database.ts';

let embedded: EmbeddedDatabase;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
});
afterAll(() => embedded.close());

describe('migrate', () => {
  it('applies nothing to a database that is up to date', async () => {
    expect(await migrate(embedded.databaseUrl)).toEqual([]);
  });

  it('applies each migration once when two processes run it at the same time', async () => {
    const results = await Promise.all([migrate(embedded.databaseUrl), migrate(embedded.databaseUrl)]);
    expect(results).toEqual([[], []]);
    const rows = await embedded.database.$queryRaw<{ name: string }[]>`SELECT migration_name AS name FROM "_prisma_migrations" ORDER BY name`;
    const committed = (await readdir('prisma/migrations')).filter((name) => /^\d/.test(name)).sort();
    expect(rows.map(({ name }) => name)).toEqual(committed);
  });

  it('creates the tables, columns and nullability of the Prisma schema', async () => {
    // What the Prisma client will ask for, compared with what the database has.
    const rows = await embedded.database.$queryRaw<{ table_name: string; column_name: string; is_nullable: string; udt_name: string }[]>`
      SELECT table_name, column_name, is_nullable, udt_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_prisma_migrations'`;
    const inDatabase = rows.map((row) => `${row.table_name}.${row.column_name}`).sort();
    expect(inDatabase).toEqual((await schemaColumns()).map(({ table, column }) => `${table}.${column}`).sort());
    const optional = new Set((await schemaColumns()).filter((column) => column.optional).map(({ table, column }) => `${table}.${column}`));
    const nullable = rows
      .filter((row) => row.is_nullable === 'YES' && !row.udt_name.startsWith('_'))
      .map((row) => `${row.table_name}.${row.column_name}`);
    expect(nullable.sort()).toEqual([...optional].sort());
    expect(Object.keys(Prisma.ModelName).length).toBe(new Set(rows.map((row) => row.table_name)).size);
  });

  it('on a database from before owners › gives all files and jobs to the only organization', async () => {
    await withMigrationsBefore('20261126000000_owners', async (databaseUrl) => {
      await query(databaseUrl, `INSERT INTO "files" (id, filename, purpose, size_bytes, sha256, storage_key) VALUES ('file-a', '', '', 0, '', '')`);
      const job = `INSERT INTO "jobs" (id, model, training_file_id, seed, method, hyperparameters, tuning, idempotency_key)`;
      await query(databaseUrl, `${job} VALUES ('ftjob-a', 'm', 'file-a', 1, '{}', '{}', '{}', 'once')`);
      expect(await migrate(databaseUrl)).toContain('20261126000000_owners');
      expect(await query(databaseUrl, 'SELECT id, owner FROM files UNION SELECT id, owner FROM jobs ORDER BY id')).toEqual([
        { id: 'file-a', owner: DEFAULT_PROJECT },
        { id: 'ftjob-a', owner: DEFAULT_PROJECT },
      ]);
    });
  });

  it('on a database with one column per metric › moves the metrics into one map', async () => {
    await withMigrationsBefore('20261126010000_step_metrics', async (databaseUrl) => {
      const job = `INSERT INTO "jobs" (id, owner, model, training_file_id, seed, method, hyperparameters, tuning)`;
      await query(databaseUrl, `${job} VALUES ('ftjob-a', 'acme', 'm', 'file-a', 1, '{}', '{}', '{}')`);
      const columns = 'job_id, step, epoch, train_loss, train_mean_token_accuracy, learning_rate, grad_norm, tokens, supervised_tokens, seconds';
      const step = `INSERT INTO "step_metrics" (${columns}, valid_loss, full_valid_loss)`;
      await query(databaseUrl, `${step} VALUES ('ftjob-a', 1, 0.5, 2.25, 0.125, 1e-4, 3, 10, 5, 0.1, 'NaN', 2.5)`);
      expect(await migrate(databaseUrl)).toContain('20261126010000_step_metrics');
      const run = { epoch: 0.5, learning_rate: 1e-4, grad_norm: 3, tokens: 10, supervised_tokens: 5, seconds: 0.1 };
      expect(await query(databaseUrl, 'SELECT step, metrics FROM step_metrics')).toEqual([
        { step: 1, metrics: { ...run, train_loss: 2.25, train_mean_token_accuracy: 0.125, full_valid_loss: 2.5 } },
      ]);
    });
  });

  it('refuses a migration whose file has changed since it was applied, and names it', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'graft-migrations-'));
    try {
      await cp('prisma/migrations', dir, { recursive: true });
      await writeFile(join(dir, '20261123000000_first/migration.sql'), 'SELECT 1;');
      await expect(migrate(embedded.databaseUrl, dir)).rejects.toThrow('20261123000000_first has changed');
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});

/** Calls `use` with a database that has only the migrations before the given one. */
async function withMigrationsBefore(migration: string, use: (databaseUrl: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'graft-migrations-'));
  try {
    const earlier = (await readdir('prisma/migrations')).filter((name) => name < migration);
    for (const name of earlier) await cp(join('prisma/migrations', name), join(dir, name), { recursive: true });
    const databaseUrl = await emptyDatabase(`before_${migration}`);
    await migrate(databaseUrl, dir);
    await use(databaseUrl);
  } finally {
    await rm(dir, { recursive: true });
  }
}

async function query(databaseUrl: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Creates another database on the same server. @returns its URL */
async function emptyDatabase(name: string): Promise<string> {
  await query(embedded.databaseUrl, `CREATE DATABASE "${name}"`);
  const url = new URL(embedded.databaseUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** The scalar columns of prisma/schema.prisma, read from its text. */
async function schemaColumns(): Promise<{ table: string; column: string; optional: boolean }[]> {
  const schema = await readFile('prisma/schema.prisma', 'utf8');
  const scalar = /^\s+(\w+)\s+(String|Int|BigInt|Float|Boolean|DateTime|Json|JobStatus)(\?|\[\])?(\s.*)?$/;
  return [...schema.matchAll(/^model (\w+) \{([\s\S]*?)^\}/gm)].flatMap(([, , body]) => {
    const table = /@@map\("(\w+)"\)/.exec(body!)![1]!;
    return body!.split('\n').flatMap((line) => {
      const match = scalar.exec(line);
      if (!match) return [];
      const column = /@map\("(\w+)"\)/.exec(line)?.[1] ?? match[1]!;
      return [{ table, column, optional: match[3] === '?' }];
    });
  });
}
