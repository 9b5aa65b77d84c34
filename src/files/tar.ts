/** Reading tars that users upload. */
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type Extract, extract } from 'tar-stream';

/** @returns the entries of a tar, which throw an error of its source */
export function entriesOf(source: Readable, isCompressed: boolean): Extract {
  const tar = extract();
  const failed = (error: Error | null | undefined) => error && tar.destroy(error);
  if (isCompressed) pipeline(source, createGunzip(), tar, failed);
  else pipeline(source, tar, failed);
  return tar;
}

/** The folders and the name of an entry: `./a//b` is `a`, `b`. */
export const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');
