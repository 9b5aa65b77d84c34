/** Keeps the directories that were made of GGUF files to those of the files that are on this machine, and within their limit. */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { FileHash } from '../engine/io/base-model-files.ts';
import { readGgufSource } from '../engine/io/gguf-source.ts';
import { ggufDirectories, ggufDirectory } from './gguf-files.ts';
import { removeUnheld } from './held-directory.ts';
import { ageMs, GIVE_UP_AFTER_MS, type Kept, keepWithin, kept, UNFINISHED } from './keep-within.ts';

const SHA256 = /^[0-9a-f]{64}$/;
/** How often it is asked whether a file still has the hash that a directory was made for, at most: a worker that has just started reads it for that. */
const CLAIM_EVERY_MS = 24 * 3_600_000;

interface Sweep {
  dataDir: string;
  /** How much all directories together may take, bytes; null: no limit. */
  limitBytes: number | null;
  /** The GGUF files among the base models of this worker. */
  files: readonly string[];
  /** Those of them that unfinished jobs train on: their directories are kept, even past the limit. */
  inUse: readonly string[];
  sha256Of: FileHash;
  log: Logger;
}

/**
 * Removes what was left unfinished; directories whose file no worker on this DATA_DIR has had for a week, and that nobody has used since; and past the limit those
 * used least recently, which the next job on them makes again. What anybody holds stays.
 */
export async function sweepGguf({ dataDir, limitBytes, files, inUse, sha256Of, log }: Sweep): Promise<void> {
  const present = await sized(files);
  const staying: Kept[] = [];
  for (const name of await readdir(ggufDirectories(dataDir)).catch(() => [])) {
    const one = SHA256.test(name) || UNFINISHED.test(name) ? await kept(ggufDirectory(dataDir, name)) : null;
    if (one === null) continue;
    if (UNFINISHED.test(name)) {
      if (ageMs(one.writtenMs) < GIVE_UP_AFTER_MS) continue;
      await rm(one.dir, { recursive: true, force: true });
      log.info({ dir: one.dir }, 'removed what was left of making a directory of a GGUF file');
      continue;
    }
    await claim(one, { name, present, sha256Of });
    const isAbandoned = Math.min(ageMs(await claimedMs(one)), ageMs(one.usedMs ?? 0)) >= GIVE_UP_AFTER_MS;
    if (!isAbandoned || !(await removeUnheld(one.dir, one.usedMs))) staying.push(one);
    else log.info({ dir: one.dir, sizeBytes: one.sizeBytes }, 'removed the directory of a GGUF file that is no longer here');
  }
  const needed = new Set((await sized(inUse)).map(({ size }) => size));
  const isNeeded = ({ dir }: Kept) => needed.has(sourceBytes(dir) ?? Number.NaN);
  for (const { dir, sizeBytes } of await keepWithin(staying, { limitBytes, isNeeded }))
    log.info({ dir, sizeBytes, limitBytes }, 'removed the directory of a GGUF file to stay within the limit');
}

/** A directory is as old as the last time that a worker said it has its file: workers with other models may share this DATA_DIR. */
const claimedMs = async ({ dir }: Kept): Promise<number> => (await stat(dir)).mtimeMs;

interface Claim {
  /** Its name, the hash of its file. */
  name: string;
  present: readonly SizedFile[];
  sha256Of: Sweep['sha256Of'];
}

async function claim(one: Kept, { name, present, sha256Of }: Claim): Promise<void> {
  if (ageMs(await claimedMs(one)) < CLAIM_EVERY_MS) return;
  const bytes = sourceBytes(one.dir);
  for (const file of present) {
    if (file.size !== bytes || (await sha256Of(file.path, file).catch(() => null)) !== name) continue;
    await utimes(one.dir, new Date(), new Date());
    return;
  }
}

interface SizedFile {
  path: string;
  size: number;
  mtimeMs: number;
}

/** @returns those that are still there */
async function sized(paths: readonly string[]): Promise<SizedFile[]> {
  const found = await Promise.all(paths.map((path) => stat(path).catch(() => null)));
  return found.flatMap((stats, index) => (stats === null ? [] : [{ path: paths[index]!, size: stats.size, mtimeMs: stats.mtimeMs }]));
}

/** The size of the file that a directory was made of; null if that cannot be read. */
function sourceBytes(dir: string): number | null {
  try {
    return readGgufSource(dir)?.bytes ?? null;
  } catch {
    return null;
  }
}
