/** Hashes of bytes that are never in memory as a whole. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** Fewer and larger reads than the default of 64 KiB. */
const READ_BYTES = 1 << 20;

/** The bytes as they are; the hash has seen them when they have all been read. */
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
