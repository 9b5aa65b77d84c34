import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Services } from '../src/services.ts';

const packageRoot = fileURLToPath(new URL('..', import.meta.url));

/**
 * What a training process on this machine has no business with: the key, the embedded servers with their sockets (which let anyone in), the object store.
 * @returns absolute paths, none of which holds anything that training needs
 */
export function serviceFiles({ config, urls }: Pick<Services, 'config' | 'urls'>): string[] {
  const { dataDir, modelsDirs } = config;
  const own = ['api-key', 'run', 'postgres', 'valkey', 'objects'].map((name) => join(dataDir, name));
  const sockets = urls.redis.startsWith('/') ? [dirname(urls.redis)] : [];
  const host = new URL(urls.database).searchParams.get('host');
  if (host?.startsWith('/')) sockets.push(host);
  const store = urls.storage.startsWith('file://') ? [fileURLToPath(urls.storage)] : [];
  const needed = [packageRoot, ...modelsDirs, ...['work', 'tokens', 'hub', 'machine.json'].map((name) => join(dataDir, name))].map((path) =>
    resolve(path),
  );
  const holdsNeeded = (path: string): boolean => needed.some((each) => `${each}${sep}`.startsWith(`${path}${path.endsWith(sep) ? '' : sep}`));
  return [...new Set([...own, ...sockets, ...store].map((path) => resolve(path)))].filter((path) => !holdsNeeded(path));
}
