import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, MIN_KEY_LENGTH } from '../config.ts';
import { Refusal } from '../formats/refusal.ts';
import { keepSecret } from '../formats/secrets.ts';
import { DEFAULT_ORGANIZATION, DEFAULT_PROJECT } from '../ids.ts';
import type { Principal } from './principal.ts';

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

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Checks an `Authorization` header in constant time, so that timing reveals nothing about the key.
 * @returns the caller; there is only one key, hence always the default project
 * @throws Refusal invalid_api_key
 */
export function authenticate(header: string | undefined, key: string): Principal {
  const [scheme, token] = (header ?? '').split(' ', 2);
  const sent = scheme?.toLowerCase() === 'bearer' ? token : undefined;
  if (sent === undefined || sent === '') {
    throw new Refusal('invalid_api_key', 'The request has no API key', { hint: 'Send it as "Authorization: Bearer KEY".' });
  }
  if (!timingSafeEqual(digest(sent), digest(key))) {
    throw new Refusal('invalid_api_key', 'The API key is wrong', {
      hint: 'The key is in ROOT_API_KEY or in the file DATA_DIR/api-key.',
    });
  }
  return { organization: DEFAULT_ORGANIZATION, project: DEFAULT_PROJECT };
}
