/** The thread that reads datasets for their judgement: the API's own thread goes on answering, however long a line is. */
import { parentPort, workerData } from 'node:worker_threads';
import { type JudgedFile, judgeFile } from '../formats/judged-file.ts';
import { formatOf } from '../formats/table-source.ts';
import { ObjectNotFound } from '../object-store/object-store.ts';
import { openObjectStore } from '../object-store/open.ts';
import { isAdapterArchive, judgeAdapter } from './adapter-archive.ts';
import { convertTable } from './tables/convert.ts';
import type { Claim, Converted } from './validation-store.ts';

/** A file to judge. */
export interface Reading extends Pick<Claim, 'filename' | 'storageKey' | 'source'> {
  id: string;
}

/** What became of it. `gone`: it was deleted meanwhile; `failed`: it could not be read now. */
export type Read = { id: string } & ({ judged: JudgedFile; converted: Converted | null } | { gone: true } | { failed: string });

const { storageUrl } = workerData as { storageUrl: string };
const objectStore = await openObjectStore(storageUrl);

parentPort!.on('message', async (reading: Reading) => {
  parentPort!.postMessage(await answer(reading));
});

async function answer(reading: Reading): Promise<Read> {
  const { id } = reading;
  try {
    return { id, ...(await read(reading)) };
  } catch (error) {
    return error instanceof ObjectNotFound ? { id, gone: true } : { id, failed: error instanceof Error ? error.message : String(error) };
  }
}

async function read({ id, filename, storageKey, source }: Reading): Promise<{ judged: JudgedFile; converted: Converted | null }> {
  const start = await firstBytes(storageKey);
  const content = async () => (await objectStore.get(storageKey)) as AsyncIterable<Uint8Array>;
  if (source.format === undefined && isAdapterArchive(start, filename))
    return { judged: await judgeAdapter(await content(), start), converted: null };
  const format = formatOf(source, filename, start);
  if (format !== 'jsonl') return convertTable({ fileId: id, storageKey, format, mapping: source.mapping, objectStore });
  return { judged: await judgeFile(await content()), converted: null };
}

/** What a format is recognised by: the header of a tar's first file. */
const RECOGNISED_BYTES = 512;

async function firstBytes(key: string): Promise<Uint8Array> {
  const start: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of await objectStore.get(key)) {
    start.push(chunk as Uint8Array);
    length += (chunk as Uint8Array).byteLength;
    if (length >= RECOGNISED_BYTES) break;
  }
  return Buffer.concat(start);
}
