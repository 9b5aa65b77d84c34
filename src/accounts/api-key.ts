import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, MIN_KEY_LENGTH } from '../config.ts';
import { keepSecret } from '../formats/secrets.ts';

export interface ApiKey {
  key: string;
  /** The file that holds the key; null when it came from ROOT_API_KEY. */
  path: string | null;
}

/** @returns the key from the settings, or the one generated on first start */
export async function loadApiKey({ rootApiKey, dataDir }: Pick<Config, 'rootApiKey' | 'dataDir'>): Promise<ApiKey> {
  if (rootApiKey !== null) return { key: rootApiKey, path: null };
  const path = join(dataDir, 'api-key');
  await mkdir(dataDir, { recursive: true });
  try {
    await writeFile(path, `graft-${randomBytes(32).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const key = (await readFile(path, 'utf8')).trim();
  if (key.length < MIN_KEY_LENGTH)
    throw new Error(`${path} has a key of ${key.length} characters, too few; remove it, and the next start will generate a new key`);
  keepSecret(key);
  return { key, path };
}
