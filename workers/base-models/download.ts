/** Brings a model from the hub onto this machine: resumed where it stopped, checked, and there only when it is whole. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { access, mkdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as delay } from 'node:timers/promises';
import { withFileLock } from '../../src/file-lock.ts';
import { hashFile } from '../../src/formats/hashing.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Hub, HubModel } from '../../src/hub/hub.ts';
import type { HubFile } from '../../src/hub/hub-files.ts';
import { isUnreachable } from '../../src/hub/hub-refusal.ts';
import { snapshotDir } from './snapshots.ts';

/** Tries in a row that bring no new byte. */
const MOST_TRIES = 5;
const FIRST_PAUSE_MS = 500;
/** Left free on the disk for everything else. */
const SPARE_BYTES = 512 * 1024 * 1024;
const TELL_EVERY_MS = 10_000;

export interface DownloadOptions {
  hub: Hub;
  dataDir: string;
  /** Aborting ends the download at once; what has come stays for the next one. */
  signal: AbortSignal;
  /** Before the first byte. @param haveBytes of it from an earlier download */
  onStart?(model: HubModel, haveBytes: number): Promise<void>;
  /** At most every ten seconds. */
  onProgress?(doneBytes: number, model: HubModel): Promise<void>;
}

/**
 * @returns the directory, at once when the model is here already
 * @throws Refusal what the hub says, `download_failed`, `corrupt_download`, `disk_full`; the signal's reason
 */
export async function downloadModel(wanted: Pick<HubModel, 'name' | 'commit'>, options: DownloadOptions): Promise<string> {
  const dir = snapshotDir(options.dataDir, wanted);
  if (await exists(dir)) return dir;
  return withFileLock(`${dir}.lock`, options.signal, async () => {
    if (await exists(dir)) return dir; // another job brought it meanwhile
    const model = await describePatiently(wanted, options);
    const partial = `${dir}.partial`;
    await mkdir(partial, { recursive: true });
    const have = await Promise.all(model.files.map(({ name }) => sizeOf(join(partial, name))));
    const haveBytes = have.reduce((sum, bytes) => sum + bytes, 0);
    await enoughDisk(partial, model, haveBytes);
    await options.onStart?.(model, haveBytes);
    const tell = progressTeller(model, options);
    for (const file of model.files) await fetchFile(model, file, join(partial, file.name), { ...options, tell });
    await rename(partial, dir);
    return dir;
  });
}

/** A hub that is away for a moment fails no job that it has answered for before. */
async function describePatiently({ name, commit }: Pick<HubModel, 'name' | 'commit'>, { hub, signal }: DownloadOptions): Promise<HubModel> {
  for (let failures = 1; ; failures++) {
    try {
      return await hub.describe({ name, revision: commit });
    } catch (error) {
      if (!isUnreachable(error) || failures === MOST_TRIES) throw error;
      await pauseAfter(failures, signal);
    }
  }
}

const pauseAfter = (failures: number, signal: AbortSignal): Promise<void> => delay(FIRST_PAUSE_MS * 2 ** (failures - 1), undefined, { signal });

type FileOptions = DownloadOptions & { tell(file: HubFile, bytes: number): Promise<void> };

/** What is wrong is fetched once more from its beginning: a resumed file may have been another's. */
async function fetchFile(model: HubModel, file: HubFile, path: string, options: FileOptions): Promise<void> {
  for (const again of [true, false]) {
    await fetchBytes(model, file, path, options);
    if (await isWhole(path, file)) return;
    await rm(path, { force: true });
    if (!again)
      throw new Refusal('corrupt_download', `${file.name} of "${model.name}" came damaged twice: its hash is not the hub's`, {
        param: 'model',
        hint: 'Try again later, or check what is between the worker and the hub.',
      });
  }
}

async function fetchBytes(model: HubModel, file: HubFile, path: string, { hub, signal, tell }: FileOptions): Promise<void> {
  let failures = 0;
  for (;;) {
    const from = await sizeOf(path);
    if (from > file.sizeBytes) await rm(path);
    if (from >= file.sizeBytes && (await exists(path))) return;
    try {
      const body = await hub.read(model, file.name, { from, signal });
      const count = async function* (chunks: AsyncIterable<Uint8Array>) {
        let bytes = from;
        for await (const chunk of chunks) {
          yield chunk;
          bytes += chunk.length;
          await tell(file, bytes);
        }
      };
      await pipeline(Readable.fromWeb(body as ReadableStream), count, createWriteStream(path, { flags: 'a' }), { signal });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Refusal && !isUnreachable(error)) throw error;
      failures = (await sizeOf(path)) > from ? 1 : failures + 1;
      if (failures === MOST_TRIES)
        throw new Refusal(
          'download_failed',
          `${file.name} of "${model.name}" could not be downloaded: ${error instanceof Error ? error.message : error}`,
          {
            param: 'model',
            hint: 'Make the job again later; what has come is kept.',
          },
        );
      await pauseAfter(failures, signal);
    }
  }
}

async function isWhole(path: string, { sizeBytes, digest }: HubFile): Promise<boolean> {
  const hash = digest.kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${sizeBytes}\0`);
  return (await hashFile(path, hash)) === digest.hex;
}

async function enoughDisk(dir: string, model: HubModel, haveBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  const needed = model.sizeBytes - haveBytes + SPARE_BYTES;
  if (bavail * bsize >= needed) return;
  throw new Refusal(
    'disk_full',
    `"${model.name}" takes ${model.sizeBytes} bytes, and the worker's disk has ${bavail * bsize} left at ${dirname(dir)}`,
    {
      param: 'model',
      hint: 'Make room there, or give the worker another DATA_DIR.',
    },
  );
}

function progressTeller(model: HubModel, { onProgress }: DownloadOptions): FileOptions['tell'] {
  let toldMs = Date.now();
  return async (file, bytes) => {
    if (Date.now() - toldMs < TELL_EVERY_MS) return;
    toldMs = Date.now();
    const before = model.files.slice(0, model.files.indexOf(file)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    await onProgress?.(before + bytes, model);
  };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );
