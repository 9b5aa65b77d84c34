/** Hashes streams of bytes without holding them in memory. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** Fewer and larger reads than the default of 64 KiB. */
const READ_BYTES = 1 << 20;

/** Passes the bytes on unchanged; once they have all been read, the hash covers them. */
export async function* hashed<T extends Uint8Array>(bytes: AsyncIterable<T>, hash: Hash): AsyncGenerator<T> {
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
}

/** @returns hex */
export async function hashFile(path: string, hash: Hash = createHash('sha256')): Promise<string> {
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
