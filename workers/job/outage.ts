/** Tells the outside world's absence from a mistake in the job, and whether it is over. */
import { mkdir, statfs } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { isDatabaseAway } from '../../src/database/refused-write.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { Outage } from '../../src/jobs/setback.ts';
import { ObjectStoreFailed } from '../../src/object-store/failures.ts';
import type { ObjectStore } from '../../src/object-store/object-store.ts';
import type { Services } from '../../src/services.ts';

/** Answers of operating systems, in words; others are shown as they are. */
const IN_WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'no room is left',
  EDQUOT: 'the quota is used up',
  EROFS: 'it is read-only',
  EACCES: 'access is denied',
  ECONNREFUSED: 'the connection is refused',
  ENOTFOUND: 'its name is unknown',
  P1001: 'it does not answer',
  P1017: 'the connection was cut',
  P2024: 'no connection is free',
};

const FULL = ['ENOSPC', 'EDQUOT', 'EROFS'];

/** A dataset has not been judged yet. */
export class StillRead extends Error {
  override readonly name = 'StillRead';
}

/** @returns null if the error does not say that something outside is away */
export function outageOf(error: unknown): Outage | null {
  if (error instanceof ObjectStoreFailed) return { need: 'object_store', detail: answer(error.cause) };
  // pg gives a cut connection neither a code nor a name.
  if (isDatabaseAway(error)) return { need: 'database', detail: codeOf(error) === 'Error' ? 'the connection was cut' : answer(error) };
  if (error instanceof StillRead) return { need: 'dataset', detail: error.message };
  if (error instanceof Refusal && error.code === 'disk_full') return { need: 'disk', detail: error.message };
  if (error instanceof Refusal && ['model_hub_unreachable', 'download_failed'].includes(error.code))
    return { need: 'model_hub', detail: error.message };
  if (FULL.includes(codeOf(error))) return { need: 'disk', detail: answer(error) };
  return null;
}

const codeOf = (error: unknown): string => {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : String(name);
};

/** Its code and no more: messages hold paths and addresses. */
function answer(error: unknown): string {
  const code = codeOf(error);
  return code in IN_WORDS ? `${IN_WORDS[code]} (${code})` : code;
}

/** Room for a checkpoint: parameters, both moments and the deliverable, at most 4 bytes a value each; and for the rest of a small job. */
const checkpointBytes = ({ facts }: Pick<Job, 'facts'>): number =>
  64 * 1024 * 1024 + 16 * ((facts as { trainableParameters?: number } | null)?.trainableParameters ?? 0);

/** The store is tried with at most this much: writing as much as a large model takes would be felt. */
const MAX_BALLAST_BYTES = 256 * 1024 * 1024;

/**
 * Tries what the job waits for, so that it does not train up to its next checkpoint in vain.
 * @throws the error that `outageOf` knows if it is still away
 */
export async function requireBack(job: Job, { config, objectStore }: Pick<Services, 'config' | 'objectStore'>): Promise<void> {
  if (job.waitingFor === 'object_store') await writeBallast(objectStore, Math.min(MAX_BALLAST_BYTES, checkpointBytes(job)), job.id);
  if (job.waitingFor === 'disk') await requireRoom(config.dataDir, checkpointBytes(job));
}

async function writeBallast(objectStore: ObjectStore, bytes: number, jobId: string): Promise<void> {
  await objectStore.check();
  const key = `probes/${jobId}`;
  const chunk = Buffer.alloc(1 << 20);
  await objectStore.put(
    key,
    Readable.from(
      Array.from({ length: Math.ceil(bytes / chunk.length) }, () => chunk),
      { objectMode: false },
    ),
  );
  await objectStore.delete(key);
}

async function requireRoom(dir: string, bytes: number): Promise<void> {
  await mkdir(dir, { recursive: true });
  const { bavail, bsize } = await statfs(dir);
  if (bavail * bsize >= bytes) return;
  throw new Refusal('disk_full', `${bavail * bsize} bytes are free; the job needs about ${bytes}`);
}
