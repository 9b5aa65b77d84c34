import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { keepSecret } from './formats/secrets.ts';

/** @returns the secret that the file holds; if there is no such file, it is made with a new one, for its user alone. Messages do not show it */
export async function secretInFile(path: string, newSecret: () => string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(path, `${newSecret()}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const secret = (await readFile(path, 'utf8')).trim();
  keepSecret(secret);
  return secret;
}
