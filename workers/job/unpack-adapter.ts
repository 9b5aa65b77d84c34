import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { entriesOf, partsOf } from '../../src/files/tar.ts';
import { hashed } from '../../src/formats/hashing.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { StoredModel } from '../../src/jobs/job.ts';
import { ObjectNotFound, type ObjectStore } from '../../src/object-store/object-store.ts';

const GZIP = 0x1f;

/**
 * Writes the files of an uploaded adapter into a directory, without the folders that they are in. Only those that were judged are written, and each has to
 * have the size and the hash that it had then.
 * @param dir  its content is replaced
 * @throws Refusal if the file has been deleted or has changed; errors of the store
 */
export async function unpackAdapter(
  { name, tar, files }: Pick<StoredModel, 'name' | 'files'> & { tar: string },
  dir: string,
  objectStore: ObjectStore,
): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  const wanted = new Map(files.map((file) => [file.name, file]));
  const source = await open(name, tar, objectStore);
  const first = source.read(1) as Buffer | null;
  if (first !== null) source.unshift(first);
  for await (const entry of entriesOf(source, first?.[0] === GZIP)) {
    const path = partsOf(entry.header.name).join('/');
    const file = wanted.get(path);
    if (file === undefined || entry.header.size !== file.bytes) {
      entry.resume();
      continue;
    }
    const hash = createHash('sha256');
    await pipeline(hashed(entry as AsyncIterable<Uint8Array>, hash), createWriteStream(join(dir, basename(path))));
    if (hash.digest('hex') === file.sha256) wanted.delete(path);
  }
  const [missing] = wanted.keys();
  if (missing !== undefined)
    throw new Refusal('corrupt_model_file', `The adapter "${name}" is damaged: ${missing} is not what was uploaded`, { param: 'start_from' });
}

/** @returns the tar, of which something can be read */
async function open(name: string, tar: string, objectStore: ObjectStore): Promise<Readable> {
  const source: Readable = await objectStore.get(tar).catch((error) => {
    if (!(error instanceof ObjectNotFound)) throw error;
    throw new Refusal('file_not_found', `The file "${name}" has been deleted`, {
      param: 'start_from',
      hint: 'Upload it again and create a new job.',
    });
  });
  await new Promise<void>((resolve, reject) => source.once('readable', resolve).once('error', reject));
  return source;
}
