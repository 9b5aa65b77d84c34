import { createReadStream } from 'node:fs';
import { cp, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { committedMigrations, migrate, migrationsDir } from '../database/migrate.ts';
import { hashFile } from '../formats/hashing.ts';
import { Refusal } from '../formats/refusal.ts';
import { checkedKey } from '../object-store/checked-key.ts';
import { keys } from '../object-store/keys.ts';
import type { ObjectStore } from '../object-store/object-store.ts';
import { forAll } from './for-all.ts';
import { type Manifest, objectPath, readManifest, tablePath } from './manifest.ts';
import { restoreRows, stateOf } from './rows-store.ts';

/** How many damaged files an error names. */
const SHOWN = 5;

export interface Restored {
  createdAt: string;
  rows: number;
  objects: number;
}

/**
 * Writes a backup into an empty database and store, wherever they are. Every file of the backup is compared with its hash first; objects come before
 * rows, and all rows appear at once.
 * @throws Refusal if the backup is damaged, is newer than this version, or the database or store is not empty
 */
export async function restoreBackup(
  { databaseUrl, objectStore }: { databaseUrl: string; objectStore: Pick<ObjectStore, 'list' | 'put'> },
  dir: string,
): Promise<Restored> {
  const manifest = await readManifest(dir);
  await checkFiles(manifest, dir);
  await prepareDatabase(databaseUrl, manifest);
  for (const prefix of [keys.files, keys.jobs]) {
    const [found] = await objectStore.list(prefix);
    if (found !== undefined)
      throw new Refusal('store_not_empty', `The object store already holds "${found.key}"`, { hint: 'Restore into an empty store.' });
  }
  await forAll(manifest.objects, async ({ key }) => {
    await objectStore.put(checkedKey(key), createReadStream(objectPath(dir, key)));
  });
  await restoreRows(databaseUrl, manifest.tables, (table) => tablePath(dir, table));
  await migrate(databaseUrl);
  return {
    createdAt: manifest.createdAt,
    rows: manifest.tables.reduce((sum, { rows }) => sum + rows, 0),
    objects: manifest.objects.length,
  };
}

async function checkFiles({ tables, objects }: Manifest, dir: string): Promise<void> {
  const damaged: string[] = [];
  const files = [
    ...tables.map(({ name, sha256 }) => ({ path: tablePath(dir, name), sha256 })),
    ...objects.map(({ key, sha256 }) => ({ path: objectPath(dir, checkedKey(key)), sha256 })),
  ];
  for (const { path, sha256 } of files) {
    const exists = await stat(path).then(
      () => true,
      () => false,
    );
    if (!exists) damaged.push(`${path} is missing`);
    else if ((await hashFile(path)) !== sha256) damaged.push(`${path} has changed`);
  }
  if (damaged.length === 0) return;
  const more = damaged.length > SHOWN ? `; and ${damaged.length - SHOWN} more` : '';
  throw new Refusal('backup_damaged', `The backup is damaged, so nothing was restored: ${damaged.slice(0, SHOWN).join('; ')}${more}`);
}

/** Brings the database to the schema of the backup, so that its rows fit. */
async function prepareDatabase(databaseUrl: string, { migrations }: Manifest): Promise<void> {
  const known = (await committedMigrations(migrationsDir)).map(({ name }) => name);
  const unknown = migrations.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new Refusal('backup_too_new', `The backup has the migrations ${unknown.join(', ')}, which this version lacks`, {
      hint: 'Restore it with the version that made it, or a newer one.',
    });
  const state = await stateOf(databaseUrl);
  if (!state.isEmpty)
    throw new Refusal('database_not_empty', 'The database already holds files, jobs or API keys', { hint: 'Restore into an empty database.' });
  if (state.migrations.some((name) => !migrations.includes(name)))
    throw new Refusal('database_too_new', 'The database has a newer schema than the backup', { hint: 'Restore into a database without tables.' });
  const folder = await mkdtemp(join(tmpdir(), 'graft-migrations-'));
  try {
    for (const name of migrations) await cp(join(migrationsDir, name), join(folder, name), { recursive: true });
    await migrate(databaseUrl, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
