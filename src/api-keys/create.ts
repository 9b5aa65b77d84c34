import { type KeyKind, newSecret } from '../accounts/secret-key.ts';
import type { KeyOwner, KeyStore, NewKey, StoredKey } from './store.ts';

interface Wanted extends Omit<NewKey, 'expiresAt'> {
  expiresInSeconds?: number | null;
}

/** @returns the key and its value, which cannot be shown again */
export async function createKey(
  owner: KeyOwner,
  { expiresInSeconds = null, ...key }: Wanted,
  { keys }: { keys: Pick<KeyStore, 'create'> },
): Promise<{ key: StoredKey; value: string }> {
  const { value, ...secret } = newSecret(kindOf(owner, key));
  const expiresAt = expiresInSeconds === null ? null : new Date(Date.now() + expiresInSeconds * 1000);
  return { key: await keys.create(owner, { ...key, expiresAt }, secret), value };
}

function kindOf({ projectId }: KeyOwner, { serviceAccountId }: Pick<NewKey, 'serviceAccountId'>): KeyKind {
  if (projectId === null) return 'admin';
  return serviceAccountId === undefined ? 'project' : 'serviceAccount';
}
