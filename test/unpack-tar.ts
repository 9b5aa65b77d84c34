import { buffer } from 'node:stream/consumers';
import { extract } from 'tar-stream';

/** @returns the files of a tar: name → bytes */
export async function unpackTar(tar: Buffer): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const unpack = extract();
  unpack.end(tar);
  for await (const entry of unpack) files.set(entry.header.name, await buffer(entry));
  return files;
}
