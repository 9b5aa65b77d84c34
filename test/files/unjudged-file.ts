import { DEFAULT_PROJECT, newFileId } from '../../src/ids.ts';
import { keys } from '../../src/object-store/keys.ts';
import type { Services } from '../../src/services.ts';

/** Stores a dataset without waking the validator, as a process leaves it that ends before it is judged. @returns its id */
export async function storeUnjudged(content: string, { files, objectStore }: Pick<Services, 'files' | 'objectStore'>): Promise<string> {
  const id = newFileId();
  const storageKey = keys.file(id);
  const { sizeBytes } = await objectStore.put(storageKey, content);
  await files.create(DEFAULT_PROJECT, { id, filename: 'a.jsonl', purpose: 'fine-tune', sizeBytes, sha256: '', storageKey, status: 'uploaded' });
  return id;
}
