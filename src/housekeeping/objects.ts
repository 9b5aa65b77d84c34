import { exportOf, keys, uploadOf } from '../object-store/keys.ts';
import type { Services } from '../services.ts';
import { abandonedBefore } from '../uploads/sweep.ts';

/** How often the whole store is listed; also how long an object may wait for its row. */
export const SWEEP_OBJECTS_EVERY_MS = 3_600_000;
/** Requests whose upload took longer were cut off. */
const UNFINISHED_MS = 24 * 3_600_000;
/** Rows looked up in one query. */
const CHUNK = 1_000;

type Needs = Pick<Services, 'files' | 'jobs' | 'exports' | 'uploads' | 'objectStore' | 'log'>;

/**
 * Removes uploads that were cut off, and objects that no row names, which an upload leaves behind if its process is killed before it writes the row,
 * among them the parts of uploads that have ended.
 * @returns one sweep. An object goes in the second sweep that finds it so, because its row may be written a little later
 */
export function objectSweep({ files, jobs, exports, uploads, objectStore, log }: Needs): () => Promise<void> {
  let suspects = new Set<string>();
  return async () => {
    await objectStore.removeUnfinished(UNFINISHED_MS);
    // Objects before rows: what is stored in between is not looked at yet.
    const fileKeys = (await objectStore.list(keys.files)).map(({ key }) => key);
    const ofJobs = [...new Set((await objectStore.list(keys.jobs)).map(({ key }) => folderOf(key)))];
    const folders = ofJobs.filter((folder) => exportOf(folder) === null);
    const exported = ofJobs.filter((folder) => exportOf(folder) !== null);
    const partFolders = [...new Set((await objectStore.list(keys.uploads)).map(({ key }) => keys.upload(idOf(key))))];
    const found = [
      ...(await withoutRow(fileKeys, files)),
      ...(await withoutJob(folders, jobs)),
      ...(await withoutExport(exported, exports)),
      ...(await ended(partFolders, uploads)),
    ];
    const stored = fileKeys.length + ofJobs.length + partFolders.length;
    if (found.length > stored - found.length) {
      log.error(
        { stored, withoutRow: found.length },
        'most of what is stored has no row, so nothing is removed: is this the database of this storage?',
      );
      return;
    }
    const forgotten = found.filter((name) => suspects.has(name));
    for (const name of forgotten) await (name.endsWith('/') ? objectStore.deletePrefix(name) : objectStore.delete(name));
    if (forgotten.length > 0) log.info({ objects: forgotten.length, first: forgotten[0] }, 'removed stored objects that no row names');
    suspects = new Set(found.filter((name) => !forgotten.includes(name)));
  };
}

/** The folder of one upload, or of the whole job for objects of older versions, whose rows name no folder. */
const folderOf = (key: string): string => uploadOf(key)?.folder ?? exportOf(key)?.folder ?? keys.job(idOf(key));

/** The job or the upload in parts that a key belongs to. */
const idOf = (key: string): string => key.split('/')[1] ?? '';

async function withoutRow(fileKeys: string[], files: Needs['files']): Promise<string[]> {
  const orphans: string[] = [];
  for (const some of chunks(fileKeys)) {
    const known = new Set(await files.knownKeys(some));
    orphans.push(...some.filter((key) => !known.has(key)));
  }
  return orphans;
}

async function withoutJob(folders: string[], jobs: Needs['jobs']): Promise<string[]> {
  const orphans: string[] = [];
  for (const some of chunks(folders)) {
    const found = new Map((await jobs.findUploads([...new Set(some.map(idOf))])).map((job) => [job.id, job]));
    const isNeeded = (folder: string): boolean => {
      const job = found.get(idOf(folder));
      const attempt = uploadOf(folder)?.attempt;
      if (job === undefined || attempt === undefined) return job !== undefined;
      return job.folders.includes(folder) || (job.isHeld && attempt === job.attempt);
    };
    orphans.push(...some.filter((folder) => !isNeeded(folder)));
  }
  return orphans;
}

async function withoutExport(folders: string[], exports: Needs['exports']): Promise<string[]> {
  const orphans: string[] = [];
  for (const some of chunks(folders)) {
    const found = new Map((await exports.findFolders(some.map((folder) => exportOf(folder)!.exportId))).map((one) => [one.id, one]));
    orphans.push(
      ...some.filter((folder) => {
        const one = found.get(exportOf(folder)!.exportId);
        return one === undefined || (one.folder !== folder && one.status !== 'running');
      }),
    );
  }
  return orphans;
}

async function ended(folders: string[], uploads: Needs['uploads']): Promise<string[]> {
  const orphans: string[] = [];
  for (const some of chunks(folders)) {
    const pending = new Set(await uploads.findPending(some.map(idOf), abandonedBefore()));
    orphans.push(...some.filter((folder) => !pending.has(idOf(folder))));
  }
  return orphans;
}

function* chunks<T>(all: readonly T[]): Generator<T[]> {
  for (let from = 0; from < all.length; from += CHUNK) yield all.slice(from, from + CHUNK);
}
