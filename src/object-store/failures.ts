import { Readable } from 'node:stream';
import { ObjectNotFound, type ObjectStore } from './object-store.ts';

/** The store did not do what it was asked: it is read-only, full, forbidden or cannot be reached. */
export class ObjectStoreFailed extends Error {
  override readonly name = 'ObjectStoreFailed';
  constructor(cause: unknown) {
    super(`The object store failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The same store, with errors that tell its failures from those of whoever reads or writes: `ObjectStoreFailed` or `ObjectNotFound`. */
export function namingFailures(store: ObjectStore): ObjectStore {
  const named = async <T>(operation: Promise<T>): Promise<T> => {
    try {
      return await operation;
    } catch (error) {
      throw error instanceof ObjectNotFound ? error : new ObjectStoreFailed(error);
    }
  };
  return {
    async put(key, body) {
      if (!(body instanceof Readable)) return named(store.put(key, body));
      let ofSource: unknown;
      const source = watched(body, (error) => {
        ofSource = error;
        return error;
      });
      return named(store.put(key, source)).catch((error) => {
        throw ofSource ?? error;
      });
    },
    get: async (key, range) => watched(await named(store.get(key, range)), (error) => new ObjectStoreFailed(error)),
    size: (key) => named(store.size(key)),
    list: (prefix) => named(store.list(prefix)),
    delete: (key) => named(store.delete(key)),
    deletePrefix: (prefix) => named(store.deletePrefix(prefix)),
    removeUnfinished: (...args) => named(store.removeUnfinished(...args)),
    check: () => named(store.check()),
    close: () => store.close(),
  };
}

/** The same bytes. @param rename what the stream's own error becomes */
function watched(stream: Readable, rename: (error: unknown) => unknown): Readable {
  async function* bytes() {
    try {
      yield* stream;
    } catch (error) {
      throw rename(error);
    }
  }
  return Readable.from(bytes(), { objectMode: false });
}
