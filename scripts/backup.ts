/**
 * `npm run backup -- DIR`: saves the database and the object store of the service that the environment describes into a new folder, while jobs run.
 * `npm run restore -- DIR`: writes such a folder into an empty database and an empty store, on this or another machine.
 */

import { restoreBackup } from '../src/backups/restore.ts';
import { saveBackup } from '../src/backups/save.ts';
import { readConfig } from '../src/config.ts';
import { Refusal } from '../src/formats/refusal.ts';
import { openObjectStore } from '../src/object-store/open.ts';
import { serverUrls } from '../src/services.ts';

const [command, dir] = process.argv.slice(2);
if ((command !== 'save' && command !== 'restore') || dir === undefined) {
  console.error('Name the folder of the backup: npm run backup -- DIR, or npm run restore -- DIR');
  process.exit(2);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const config = readConfig();
const closers: (() => Promise<unknown>)[] = [];
try {
  const { database: databaseUrl } = await serverUrls(config, { closers });
  const objectStore = await openObjectStore(config.storageUrl);
  closers.push(() => objectStore.close());
  if (command === 'save') {
    const { rows, objects, bytes, missing } = await saveBackup({ databaseUrl, objectStore }, dir);
    console.log(`Saved ${rows} rows and ${objects} objects (${megabytes(bytes)}) in ${dir}`);
    if (missing.length > 0) console.warn(`Deleted while the backup was made, and so not in it: ${missing.join(', ')}`);
  } else {
    const { rows, objects, createdAt } = await restoreBackup({ databaseUrl, objectStore }, dir);
    console.log(
      `Restored ${rows} rows and ${objects} objects of ${createdAt}. Start the service: unfinished jobs resume from their newest checkpoints.`,
    );
  }
} catch (error) {
  console.error(error instanceof Refusal ? error.text : error);
  process.exitCode = 1;
} finally {
  for (const closer of closers.reverse()) await closer();
}
