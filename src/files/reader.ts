/** Has datasets read in a thread of their own, which starts with the first file and ends when there has been none for a while. */
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { oneFile } from '../one-file.ts';
import type { Read, Reading } from './reader-thread.ts';

const THREAD = fileURLToPath(new URL('reader-thread.ts', import.meta.url));
/** How long the thread waits for another file: starting it takes half a second, keeping it some 60 MB. */
const IDLE_MS = 60_000;
/** What the thread may allocate. A line of 8 MiB becomes 300 MB of values at worst. */
const MAX_HEAP_MB = 1024;

/** Reading a file ended the thread. */
export class ReaderDied extends Error {
  override readonly name = 'ReaderDied';
}

export interface Reader {
  /** @throws ReaderDied */
  read(reading: Reading): Promise<Read>;
  close(): Promise<void>;
}

export function openReader(storageUrl: string): Reader {
  let thread: Worker | null = null;
  let idle: NodeJS.Timeout | undefined;
  const waiting = new Map<string, { resolve: (read: Read) => void; reject: (error: Error) => void }>();

  const end = async (): Promise<void> => {
    clearTimeout(idle);
    const ending = thread;
    thread = null;
    await ending?.terminate();
  };

  function start(): Worker {
    const started = new Worker(oneFile(THREAD) ?? new URL('./reader-thread.mjs', import.meta.url), {
      workerData: { storageUrl },
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    started.unref(); // what waits for it keeps the process
    let why = 'it ended';
    started.on('message', (read: Read) => {
      waiting.get(read.id)?.resolve(read);
      waiting.delete(read.id);
      if (waiting.size === 0) idle = setTimeout(end, IDLE_MS).unref();
    });
    started.on('error', (error) => {
      why = error instanceof Error ? error.message : String(error);
    });
    started.on('exit', () => {
      if (thread === started) thread = null;
      else if (thread !== null) return; // those that wait, wait for another
      for (const { reject } of waiting.values()) reject(new ReaderDied(why));
      waiting.clear();
    });
    return started;
  }

  return {
    read(reading) {
      clearTimeout(idle);
      thread ??= start();
      return new Promise((resolve, reject) => {
        waiting.set(reading.id, { resolve, reject });
        thread!.postMessage(reading);
      });
    },
    close: end,
  };
}
