import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../../src/database/migrate.ts';
import { Prisma } from '../../src/generated/prisma/client.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from './embedded-database.ts';

let embedded: EmbeddedDatabase;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
});
afterAll(() => embedded.close());

describe('migrate', () => {
  it('on a database that is up to date applies nothing', async () => {
    expect(await migrate(embedded.databaseUrl)).toEqual([]);
  });

  it('by two processes at once applies each migration once', async () => {
    const results = await Promise.all([migrate(embedded.databaseUrl), migrate(embedded.databaseUrl)]);
    expect(results).toEqual([[], []]);
    const rows = await embedded.database.$queryRaw<{ name: string }[]>`SELECT migration_name AS name FROM "_prisma_migrations" ORDER BY name`;
    const committed = (await readdir('prisma/migrations')).filter((name) => /^\d/.test(name)).sort();
    expect(rows.map(({ name }) => name)).toEqual(committed);
  });

  it('leaves the tables, columns and nullability that the Prisma schema has', async () => {
    // Prisma's own naming of what the client will ask for, against what the database has.
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

  it('of a migration whose file changed since it was applied refuses and names it', async () => {
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

/** The scalar columns of prisma/schema.prisma, read from its text. */
async function schemaColumns(): Promise<{ table: string; column: string; optional: boolean }[]> {
  const schema = await readFile('prisma/schema.prisma', 'utf8');
  const scalar = /^\s+(\w+)\s+(String|Int|BigInt|Float|DateTime|Json|JobStatus)(\?|\[\])?(\s.*)?$/;
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
