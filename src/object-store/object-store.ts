import type { Readable } from 'node:stream';

/** Both ends belong to it, counted from 0. */
export interface ByteRange {
  start: number;
  end: number;
}

/** Storage for datasets, adapters and checkpoints, in a local directory or S3. Keys are built only in keys.ts. */
export interface ObjectStore {
  /** Streams a body in; the object appears whole or not at all. @returns its size in bytes */
  put(key: string, body: Readable | Buffer | string): Promise<{ sizeBytes: number }>;
  /** @param range a part of the object, not beyond its end; default: all. @throws ObjectNotFound */
  get(key: string, range?: ByteRange): Promise<Readable>;
  /** @returns null when there is no such object */
  size(key: string): Promise<number | null>;
  /** Keys under a prefix, sorted. */
  list(prefix: string): Promise<{ key: string; sizeBytes: number }[]>;
  /** Does nothing if there is no such object. */
  delete(key: string): Promise<void>;
  deletePrefix(prefix: string): Promise<void>;
  /** Removes what uploads left that were cut off before their object appeared. @param olderThanMs older than any upload that may still run */
  removeUnfinished(olderThanMs: number): Promise<void>;
  /** Writes, reads and deletes a probe object, to check that the store is usable with these credentials. */
  check(): Promise<void>;
  close(): Promise<void>;
}

export class ObjectNotFound extends Error {
  override readonly name = 'ObjectNotFound';
  constructor(readonly key: string) {
    super(`There is no object "${key}" in the store`);
  }
}
