import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { Refusal } from '../formats/refusal.ts';
import { ORGANIZATION } from '../ids.ts';
import type { Principal } from './principal.ts';

export interface ApiKey {
  key: string;
  /** Where it is kept; null when it came from ROOT_API_KEY. */
  path: string | null;
}

/** The key from the settings, else the one that the first start made. */
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
  if (key === '') throw new Error(`${path} is empty; remove it, and the next start makes a new key`);
  return { key, path };
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Checks an `Authorization` header in a time that does not tell how much of the key was right.
 * @returns who calls: with one key, always the one organization
 * @throws Refusal invalid_api_key
 */
export function authenticate(header: string | undefined, key: string): Principal {
  const [scheme, token] = (header ?? '').split(' ', 2);
  const given = scheme?.toLowerCase() === 'bearer' ? token : undefined;
  if (given === undefined || given === '') {
    throw new Refusal('invalid_api_key', 'There is no API key in the request', { hint: 'Send it as "Authorization: Bearer KEY".' });
  }
  if (!timingSafeEqual(digest(given), digest(key))) {
    throw new Refusal('invalid_api_key', 'The API key is wrong', {
      hint: "The service's key is ROOT_API_KEY, or the content of DATA_DIR/api-key.",
    });
  }
  return { organization: ORGANIZATION };
}
