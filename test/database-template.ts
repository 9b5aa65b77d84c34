/**
 * A Postgres cluster with today's schema, made once for the tests of a run: a service that begins with a copy of it need not make its own. Without `fsync`, because
 * no test ends the machine.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { migrate } from '../src/database/migrate.ts';
import { startPostgres } from '../src/embedded/postgres.ts';
import { withFileLock } from '../src/file-lock.ts';

/** Names the folder of the run to its test processes. */
const VARIABLE = 'GRAFT_TEST_TEMPLATE';

/** Vitest calls it before and after all tests. */
export async function setup(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-template-'));
  process.env[VARIABLE] = folder;
  return () => rm(folder, { recursive: true, force: true });
}

/** Gives a service that has not started yet its cluster. Does nothing outside of vitest. */
export async function copyTemplate(dataDir: string): Promise<void> {
  const folder = process.env[VARIABLE];
  if (folder === undefined) return;
  const template = join(folder, 'data');
  if (!existsSync(template)) await withFileLock(join(folder, 'lock'), AbortSignal.timeout(120_000), () => make(folder, template));
  await mkdir(join(dataDir, 'postgres'), { mode: 0o700 });
  await promisify(execFile)('cp', ['--archive', '--reflink=auto', template, join(dataDir, 'postgres', 'data')]);
}

async function make(folder: string, template: string): Promise<void> {
  if (existsSync(template)) return;
  const [home, sockets] = [join(folder, 'postgres'), await mkdtemp(join(tmpdir(), 'graft-sockets-'))];
  const { url, stop } = await startPostgres({ home, sockets });
  try {
    await migrate(url);
  } finally {
    await stop();
    await rm(sockets, { recursive: true });
  }
  await appendFile(join(home, 'data', 'postgresql.auto.conf'), 'fsync = off\n');
  await rename(join(home, 'data'), template);
}
