import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Config, MIN_KEY_LENGTH } from '../config.ts';
import { secretInFile } from '../secret-file.ts';

export interface ApiKey {
  key: string;
  /** The file that holds the key; null when it came from ROOT_API_KEY. */
  path: string | null;
}

/** @returns the key from the settings, or the one generated on first start */
export async function loadApiKey({ rootApiKey, dataDir }: Pick<Config, 'rootApiKey' | 'dataDir'>): Promise<ApiKey> {
  if (rootApiKey !== null) return { key: rootApiKey, path: null };
  const path = join(dataDir, 'api-key');
  const key = await secretInFile(path, () => `graft-${randomBytes(32).toString('base64url')}`);
  if (key.length < MIN_KEY_LENGTH)
    throw new Error(`${path} has a key of ${key.length} characters, too few; remove it, and the next start will generate a new key`);
  return { key, path };
}
