/** Downloads a model from the hub: resumes where it stopped, verifies every file, and puts the directory in place only when it is complete. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { access, mkdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as delay } from 'node:timers/promises';
import { hashFile } from '../../src/formats/hashing.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Hub, HubModel } from '../../src/hub/hub.ts';
import type { HubFile } from '../../src/hub/hub-files.ts';
import { isUnreachable } from '../../src/hub/hub-refusal.ts';
import { type HeldDirectory, holdDirectory } from './held-directory.ts';
import { snapshotDir } from './snapshots.ts';

/** Consecutive tries without a new byte. */
const MAX_TRIES = 5;
const FIRST_PAUSE_MS = 500;
/** Disk space that stays free for everything else: as much again as the model, but no more than this. */
const MAX_SPARE_BYTES = 512 * 1024 * 1024;
const REPORT_EVERY_MS = 10_000;

export interface DownloadOptions {
  hub: Hub;
  dataDir: string;
  /** Aborting ends the download at once; the bytes received so far are kept for the next one. */
  signal: AbortSignal;
  /** Called before the first byte. @param haveBytes bytes kept from an earlier download */
  onStart?(model: HubModel, haveBytes: number): Promise<void>;
  /** Called at most every ten seconds. */
  onProgress?(doneBytes: number, model: HubModel): Promise<void>;
}

/**
 * @returns the model's directory, at once if it is already on this machine; it stays until it is left
 * @throws Refusal from the hub, `download_failed`, `corrupt_download`, `disk_full`; the signal's reason
 */
export async function downloadModel(wanted: Pick<HubModel, 'name' | 'commit'>, options: DownloadOptions): Promise<HeldDirectory> {
  const dir = snapshotDir(options.dataDir, wanted);
  const make = async () => {
    const model = await describeWithRetries(wanted, options);
    const partial = `${dir}.partial`;
    await mkdir(partial, { recursive: true });
    const have = await Promise.all(model.files.map(({ name }) => sizeOf(join(partial, name))));
    const haveBytes = have.reduce((sum, bytes) => sum + bytes, 0);
    await enoughDisk(partial, model, haveBytes);
    await options.onStart?.(model, haveBytes);
    const report = progressReporter(model, options);
    for (const { name } of model.files) await mkdir(dirname(join(partial, name)), { recursive: true });
    for (const file of model.files) await fetchFile(model, file, join(partial, file.name), { ...options, report });
    await rename(partial, dir);
  };
  return holdDirectory(dir, { signal: options.signal, make });
}

/** Retries because the hub has already answered for this job: a short outage must not fail it now. */
async function describeWithRetries({ name, commit }: Pick<HubModel, 'name' | 'commit'>, { hub, signal }: DownloadOptions): Promise<HubModel> {
  for (let failures = 1; ; failures++) {
    try {
      return await hub.describe({ name, revision: commit });
    } catch (error) {
      if (!isUnreachable(error) || failures === MAX_TRIES) throw error;
      await pauseAfter(failures, signal);
    }
  }
}

const pauseAfter = (failures: number, signal: AbortSignal): Promise<void> => delay(FIRST_PAUSE_MS * 2 ** (failures - 1), undefined, { signal });

type FileOptions = DownloadOptions & { report(file: HubFile, bytes: number): Promise<void> };

/** Fetches a file with a wrong hash once more from its beginning, because the bytes it was resumed from may have been bad. */
async function fetchFile(model: HubModel, file: HubFile, path: string, options: FileOptions): Promise<void> {
  for (const again of [true, false]) {
    await fetchBytes(model, file, path, options);
    if (await isWhole(path, file)) return;
    await rm(path, { force: true });
    if (!again)
      throw new Refusal('corrupt_download', `${file.name} of "${model.name}" was damaged in two downloads: its hash is not the hub's`, {
        param: 'model',
        hint: 'Try again later, or check the network between the worker and the hub.',
      });
  }
}

async function fetchBytes(model: HubModel, file: HubFile, path: string, { hub, signal, report }: FileOptions): Promise<void> {
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
          bytes += chunk.length;
          // Neither the list that says how much disk is needed nor the hash covers what follows: it could fill the disk.
          if (bytes > file.sizeBytes) throw longerThanListed(model, file);
          yield chunk;
          await report(file, bytes);
        }
      };
      await pipeline(Readable.fromWeb(body as ReadableStream), count, createWriteStream(path, { flags: 'a' }), { signal });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Refusal && !isUnreachable(error)) throw error;
      if (isFull(error)) throw diskFull(`the worker's disk has no room left for ${file.name} of "${model.name}" at ${dirname(path)}`);
      failures = (await sizeOf(path)) > from ? 1 : failures + 1;
      if (failures === MAX_TRIES)
        throw new Refusal(
          'download_failed',
          `${file.name} of "${model.name}" could not be downloaded: ${error instanceof Error ? error.message : error}`,
          {
            param: 'model',
            hint: 'Create the job again later; the part that was downloaded is kept.',
          },
        );
      await pauseAfter(failures, signal);
    }
  }
}

const longerThanListed = ({ name }: HubModel, file: HubFile): Refusal =>
  new Refusal('corrupt_download', `the hub sends more of ${file.name} of "${name}" than the ${file.sizeBytes} bytes that it lists`, {
    param: 'model',
    hint: 'Check that HF_ENDPOINT is a hub or a faithful mirror.',
  });

async function isWhole(path: string, { sizeBytes, digest }: HubFile): Promise<boolean> {
  const hash = digest.kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${sizeBytes}\0`);
  return (await hashFile(path, hash)) === digest.hex;
}

async function enoughDisk(dir: string, model: HubModel, haveBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  const spareBytes = Math.min(MAX_SPARE_BYTES, model.sizeBytes);
  if (bavail * bsize >= model.sizeBytes - haveBytes + spareBytes) return;
  throw diskFull(
    `"${model.name}" takes ${model.sizeBytes} bytes; the worker's disk has ${bavail * bsize} free at ${dirname(dir)}, ${spareBytes} reserved`,
  );
}

const diskFull = (message: string): Refusal =>
  new Refusal('disk_full', message, { param: 'model', hint: 'Free disk space there, or give the worker another DATA_DIR.' });

function progressReporter(model: HubModel, { onProgress }: DownloadOptions): FileOptions['report'] {
  let reportedMs = Date.now();
  return async (file, bytes) => {
    if (Date.now() - reportedMs < REPORT_EVERY_MS) return;
    reportedMs = Date.now();
    const before = model.files.slice(0, model.files.indexOf(file)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    await onProgress?.(before + bytes, model);
  };
}

const isFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');

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
