/** The thread that reads datasets for their judgement: the API's own thread goes on answering, however long a line is. */
import { parentPort, workerData } from 'node:worker_threads';
import { type JudgedFile, judgeFile } from '../formats/judged-file.ts';
import { ObjectNotFound } from '../object-store/object-store.ts';
import { openObjectStore } from '../object-store/open.ts';

/** A file to judge. */
export interface Reading {
  id: string;
  storageKey: string;
}

/** What became of it. `gone`: it was deleted meanwhile; `failed`: it could not be read now. */
export type Read = { id: string } & ({ judged: JudgedFile } | { gone: true } | { failed: string });

const { storageUrl } = workerData as { storageUrl: string };
const objectStore = await openObjectStore(storageUrl);

parentPort!.on('message', async (reading: Reading) => {
  parentPort!.postMessage(await read(reading));
});

async function read({ id, storageKey }: Reading): Promise<Read> {
  try {
    return { id, judged: await judgeFile((await objectStore.get(storageKey)) as AsyncIterable<Uint8Array>) };
  } catch (error) {
    return error instanceof ObjectNotFound ? { id, gone: true } : { id, failed: error instanceof Error ? error.message : String(error) };
  }
}
