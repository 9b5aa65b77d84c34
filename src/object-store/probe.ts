import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { ObjectStore } from './object-store.ts';

/** Writes, reads and deletes a small object. @throws the store's error, or Error if it returns other content */
export async function probe(store: Pick<ObjectStore, 'put' | 'get' | 'delete'>): Promise<void> {
  const key = `probes/${randomUUID()}`;
  await store.put(key, key);
  try {
    const back = await buffer(await store.get(key));
    if (back.toString() !== key) throw new Error(`The object store returned ${back.length} bytes that differ from those written`);
  } finally {
    await store.delete(key);
  }
}
