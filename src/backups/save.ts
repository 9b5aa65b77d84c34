import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hashed, hashFile } from '../formats/hashing.ts';
import { Refusal } from '../formats/refusal.ts';
import { checkedKey } from '../object-store/checked-key.ts';
import { keys, uploadOf } from '../object-store/keys.ts';
import { ObjectNotFound, type ObjectStore } from '../object-store/object-store.ts';
import { forAll } from './for-all.ts';
import { type Manifest, manifestOf, manifestPath, objectPath, tablePath } from './manifest.ts';
import { currentNames, openSnapshot, type SavedTable } from './rows-store.ts';

/** When objects of a snapshot are deleted while they are copied, a newer snapshot is taken; this often at most. */
const MAX_ROUNDS = 5;

export interface BackedUp {
  databaseUrl: string;
  objectStore: Pick<ObjectStore, 'get' | 'list'>;
}

export interface Saved {
  rows: number;
  objects: number;
  bytes: number;
  /** What was deleted meanwhile in every round: the backup has its rows without its objects. */
  missing: string[];
}

/**
 * Saves the rows of one snapshot and every object that they name, while jobs run: objects are not changed once a row names them.
 * @param dir a new or empty folder
 * @throws Refusal if the folder is not empty
 */
export async function saveBackup({ databaseUrl, objectStore }: BackedUp, dir: string): Promise<Saved> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if ((await readdir(dir)).length > 0) throw new Refusal('not_empty', `${dir} is not empty`, { hint: 'Name a new folder for each backup.' });
  const copied = new Map<string, Manifest['objects'][number]>();
  for (let round = 1; ; round++) {
    const rows = await saveRows(databaseUrl, dir);
    const named = await copyObjects(objectStore, dir, rows, copied);
    const now = await currentNames(databaseUrl);
    const missing = [...rows.names.filter((name) => !now.has(name)), ...rows.neededKeys.filter((key) => !copied.has(key))];
    if (missing.length > 0 && round < MAX_ROUNDS) continue;
    const objects = [...copied.values()].filter(({ key }) => named.has(key));
    const manifest = manifestOf({ migrations: rows.migrations, tables: rows.tables, objects });
    await writeFile(`${manifestPath(dir)}.new`, JSON.stringify(manifest, null, 1), { mode: 0o600, flush: true });
    await rename(`${manifestPath(dir)}.new`, manifestPath(dir));
    return {
      rows: rows.tables.reduce((sum, table) => sum + table.rows, 0),
      objects: objects.length,
      bytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      missing,
    };
  }
}

interface SavedRows {
  migrations: string[];
  tables: (SavedTable & { sha256: string })[];
  fileKeys: string[];
  /** Of files that are not deleted. */
  neededKeys: string[];
  jobIds: string[];
  /** Of the jobs' uploads that a row names. */
  folders: Set<string>;
  names: string[];
}

async function saveRows(databaseUrl: string, dir: string): Promise<SavedRows> {
  await rm(join(dir, 'tables'), { recursive: true, force: true });
  await mkdir(join(dir, 'tables'), { mode: 0o700 });
  const snapshot = await openSnapshot(databaseUrl);
  try {
    const tables: SavedRows['tables'] = [];
    for (const name of snapshot.tables) {
      const path = tablePath(dir, name);
      tables.push({ ...(await snapshot.save(name, path)), sha256: await hashFile(path) });
    }
    const folders = new Set(await snapshot.folders());
    return {
      migrations: snapshot.migrations,
      tables,
      fileKeys: await snapshot.fileKeys('all'),
      neededKeys: await snapshot.fileKeys('not deleted'),
      jobIds: await snapshot.jobIds(),
      folders,
      names: await snapshot.names(),
    };
  } finally {
    await snapshot.close();
  }
}

/** Copies what has not been copied. @returns the keys that the rows name */
async function copyObjects(
  objectStore: BackedUp['objectStore'],
  dir: string,
  { fileKeys, jobIds, folders }: SavedRows,
  copied: Map<string, Manifest['objects'][number]>,
): Promise<Set<string>> {
  const named = new Set(fileKeys);
  for (const jobId of jobIds) {
    for (const { key } of await objectStore.list(keys.job(jobId))) {
      const upload = uploadOf(key);
      if (upload === null || folders.has(upload.folder)) named.add(key);
    }
  }
  const missing = [...named].filter((key) => !copied.has(key));
  await forAll(missing, async (key) => {
    const object = await copyObject(objectStore, key, objectPath(dir, checkedKey(key)));
    if (object !== null) copied.set(key, object);
  });
  return named;
}

/** @returns null if it has been deleted */
async function copyObject({ get }: BackedUp['objectStore'], key: string, path: string): Promise<Manifest['objects'][number] | null> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  try {
    const content = await get(key);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    async function* counted() {
      for await (const chunk of hashed(content as AsyncIterable<Buffer>, hash)) {
        sizeBytes += chunk.length;
        yield chunk;
      }
    }
    await pipeline(Readable.from(counted()), createWriteStream(path, { mode: 0o600 }));
    return { key, sizeBytes, sha256: hash.digest('hex') };
  } catch (error) {
    if (error instanceof ObjectNotFound) return null;
    throw error;
  }
}
