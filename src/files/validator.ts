import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { type FileProblem, type JudgedFile, unreadableFile } from '../formats/judged-file.ts';
import type { ObjectStore } from '../object-store/object-store.ts';
import { openReader, ReaderDied } from './reader.ts';
import type { Claim, Converted, ValidationStore, Verdict } from './validation-store.ts';

/** How many files are read at the same time, so that a small one need not wait for a large one. */
const FILES_AT_ONCE = 4;
/** A process that has not renewed its claim on a file for so long has ended. */
const LEASE_MS = 30_000;
const RENEW_EVERY_MS = 10_000;
/** When a file is tried again that could not be read: mostly because the store is away. */
const RETRY_AFTER_MS = 10_000;
/** A file that ended its reader so often is the cause. */
const MAX_TRIES = 5;

export interface Validator {
  /** Reads the files that wait, if it does not do so already. */
  wake(): void;
  /** Other processes may take over what this one reads. */
  stop(): Promise<void>;
}

interface Needs {
  validations: ValidationStore;
  objectStore: Pick<ObjectStore, 'delete'>;
  storageUrl: string;
  log: Logger;
}

/** Reads uploaded datasets and judges them. Any number of processes may do so: a file has one reader at a time. */
export function openValidator({ validations, objectStore, storageUrl, log }: Needs): Validator {
  const by = randomUUID();
  const reader = openReader(storageUrl);
  const reading = new Map<string, { claim: Claim; over: Promise<void> }>();
  let isStopped = false;
  let taking: Promise<void> | null = null;
  let isWoken = false;
  const renewing = setInterval(() => {
    if (reading.size > 0) validations.renew(by, LEASE_MS).catch((error) => log.warn({ err: error }, 'claims on files could not be renewed'));
  }, RENEW_EVERY_MS).unref();

  const take = async (): Promise<void> => {
    while (!isStopped && reading.size < FILES_AT_ONCE) {
      isWoken = false;
      const claim = await validations.claim(by, LEASE_MS);
      if (claim === null) {
        if (isWoken) continue; // a file came in the meantime
        return;
      }
      const over = judge(claim)
        .catch((error: unknown) => log.warn({ err: error, fileId: claim.fileId }, 'a file could not be judged yet'))
        .finally(() => {
          reading.delete(claim.fileId);
          wake();
        });
      reading.set(claim.fileId, { claim, over });
    }
  };

  async function judge(claim: Claim): Promise<void> {
    const { fileId, tries } = claim;
    const startedMs = performance.now();
    if (tries > MAX_TRIES) return void (await validations.finish(claim, verdictOf(endedItsReaders(tries - 1), null)));
    try {
      const read = await reader.read({ id: fileId, ...claim });
      if (isStopped) return;
      if ('failed' in read) throw new Error(read.failed);
      if ('gone' in read) return; // the file's row, and with it the claim, goes too
      const isDone = await validations.finish(claim, verdictOf(read.judged, read.converted));
      // Whichever of the two no row names: what was read, or what became of it where another process was first.
      if (read.converted !== null) await objectStore.delete(isDone ? claim.storageKey : read.converted.storageKey);
      const { lines, problemCount } = read.judged;
      if (isDone) log.info({ fileId, lines, problems: problemCount, seconds: (performance.now() - startedMs) / 1000 }, 'file judged');
    } catch (error) {
      if (isStopped) return;
      await validations.giveBack(claim, { pauseMs: RETRY_AFTER_MS, isTry: error instanceof ReaderDied });
      throw error;
    }
  }

  function wake(): void {
    isWoken = true;
    if (isStopped || taking !== null) return;
    taking = take()
      .catch((error: unknown) => log.warn({ err: error }, 'files to judge could not be found'))
      .finally(() => {
        taking = null;
      });
  }

  return {
    wake,
    async stop() {
      isStopped = true;
      clearInterval(renewing);
      await taking;
      const left = [...reading.values()];
      await reader.close();
      await Promise.all(left.map(({ over }) => over));
      for (const { claim } of left) await validations.giveBack(claim, { pauseMs: 0, isTry: false });
    },
  };
}

const textOf = ({ problem, hint }: FileProblem): string => (hint === null ? problem : `${problem}. ${hint}`);

const verdictOf = (judged: JudgedFile, converted: Converted | null): Verdict => ({
  judged,
  converted,
  statusDetails: judged.problems[0] === undefined ? null : textOf(judged.problems[0]),
});

const endedItsReaders = (tries: number): JudgedFile =>
  unreadableFile(`Reading the file ended the process that reads it, ${tries} times`, 'Look for a line with very many values, and split it.');
