import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Embedded, startEmbedded } from '../../src/embedded/embedded.ts';

const both = { postgres: true, redis: true };
const holder = fileURLToPath(new URL('hold-embedded.ts', import.meta.url));

let folder: string;
let dataDir: string;
const running: Embedded[] = [];
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-embedded-'));
  dataDir = join(folder, 'data');
});

afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  for (const embedded of running.splice(0)) await embedded.stop();
  // One more start takes over whatever a killed child left behind, and stops it.
  await (await startEmbedded({ dataDir, ...both })).stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(options: Partial<typeof both> = {}): Promise<Embedded> {
  const embedded = await startEmbedded({ dataDir, ...both, ...options });
  running.push(embedded);
  return embedded;
}

/** Starts the servers in another Node process, which keeps them until its input ends or it is killed. */
async function startElsewhere(env: Record<string, string> = {}): Promise<{ child: ChildProcess; databaseUrl: string; redisUrl: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', holder, dataDir], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  children.push(child);
  const [line] = await once(child.stdout!, 'data');
  return { child, ...JSON.parse(String(line)) };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function query(url: string | null, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url! });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function withRedis<T>(path: string | null, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(path!, { retryStrategy: null });
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

const valkeyPid = async (client: Redis) => Number(/process_id:(\d+)/.exec(await client.info('server'))![1]);

const postmaster = (url: string | null) => query(url, `SELECT pg_postmaster_start_time()::text AS started`);

describe('startEmbedded', () => {
  it('keeps its data across a stop and a second start, which takes under three seconds', async () => {
    const first = await start();
    await query(first.databaseUrl, `CREATE TABLE greeting (text text)`);
    await query(first.databaseUrl, `INSERT INTO greeting VALUES ('größe 🌱')`);
    await withRedis(first.redisUrl, (client) => client.set('greeting', 'hello'));
    await first.stop();
    await expect(query(first.databaseUrl, 'SELECT 1')).rejects.toThrow(/ENOENT|ECONNREFUSED/);

    const begun = performance.now();
    const second = await start();
    expect(performance.now() - begun).toBeLessThan(3000);
    expect(await query(second.databaseUrl, 'SELECT text FROM greeting')).toEqual([{ text: 'größe 🌱' }]);
    expect(await withRedis(second.redisUrl, (client) => client.get('greeting'))).toBe('hello');
  });

  it('creates the database in UTF-8, whatever the locale', async () => {
    const { databaseUrl } = await start({ redis: false });
    expect(await query(databaseUrl, 'SHOW server_encoding')).toEqual([{ server_encoding: 'UTF8' }]);
  });

  it('takes over the servers of a process that was killed with -9, and stops them', async () => {
    const { child, databaseUrl } = await startElsewhere();
    const before = await postmaster(databaseUrl);
    await query(databaseUrl, 'CREATE TABLE kept (id int)');
    await kill(child);

    const embedded = await start();
    expect(embedded.databaseUrl).toBe(databaseUrl);
    expect(await postmaster(embedded.databaseUrl)).toEqual(before);
    expect(await query(embedded.databaseUrl, 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 0 }]);
    await embedded.stop();
    await expect(query(databaseUrl, 'SELECT 1')).rejects.toThrow(/ENOENT|ECONNREFUSED/);
  });

  it('gives two processes at once the same servers, which run until the last of them stops', async () => {
    const [elsewhere, here] = await Promise.all([startElsewhere(), start()]);
    expect(here.databaseUrl).toBe(elsewhere.databaseUrl);
    expect(here.redisUrl).toBe(elsewhere.redisUrl);
    elsewhere.child.stdin!.end('stop');
    await once(elsewhere.child, 'exit');
    expect(elsewhere.child.exitCode).toBe(0);
    expect(await query(here.databaseUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await withRedis(here.redisUrl, (client) => client.ping())).toBe('PONG');
  });

  it('starts servers again that were killed, with their data and at the same address, and still stops them', async () => {
    const { databaseUrl, redisUrl, stop } = await start();
    await query(databaseUrl, 'CREATE TABLE kept (id int)');
    const postgresPid = Number((await readFile(join(dataDir, 'postgres', 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]);
    process.kill(postgresPid, 'SIGKILL');
    process.kill(await withRedis(redisUrl, valkeyPid), 'SIGKILL');
    const patient = { timeout: 20_000, interval: 100 };
    await vi.waitFor(async () => expect(await query(databaseUrl, 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 0 }]), patient);
    await vi.waitFor(async () => expect(await withRedis(redisUrl, (client) => client.on('error', () => {}).ping())).toBe('PONG'), patient);
    await stop();
    await expect(query(databaseUrl, 'SELECT 1')).rejects.toThrow(/ENOENT|ECONNREFUSED/);
    await expect(withRedis(redisUrl, (client) => client.on('error', () => {}).ping())).rejects.toThrow();
  });

  it('starts after a kill of everything even if a process has the pid of the former Postgres', async () => {
    await (await start({ redis: false })).stop();
    const data = join(dataDir, 'postgres', 'data');
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    children.push(other);
    await writeFile(join(data, 'postmaster.pid'), `${other.pid}\n${data}\n1700000000\n5432\n${join(dataDir, 'run')}\n\n`);
    await writeFile(join(dataDir, 'run', '.s.PGSQL.5432.lock'), `${other.pid}\n`);
    const { databaseUrl } = await start({ redis: false });
    expect(await query(databaseUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('works with a data directory whose path is too long for a socket and has spaces and quotes', async () => {
    dataDir = join(folder, "it's a long way ".repeat(4), 'deeper '.repeat(10), 'data');
    const embedded = await start();
    expect(await query(embedded.databaseUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await withRedis(embedded.redisUrl, (client) => client.ping())).toBe('PONG');
  });

  it('repeats an initdb that was interrupted', async () => {
    await mkdir(join(dataDir, 'postgres', 'data.new'), { recursive: true });
    await writeFile(join(dataDir, 'postgres', 'data.new', 'half'), '');
    const { databaseUrl } = await start({ redis: false });
    expect(await query(databaseUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('fails with the end of the log on a cluster that Postgres refuses, and leaves Valkey stopped', async () => {
    await (await start({ redis: false })).stop();
    const version = join(dataDir, 'postgres', 'data', 'PG_VERSION');
    const good = await readFile(version, 'utf8');
    await writeFile(version, '12\n');
    await expect(start()).rejects.toThrow(/initialized by PostgreSQL version 12/);
    await expect(withRedis(join(dataDir, 'run', 'valkey.sock'), (client) => client.on('error', () => {}).ping())).rejects.toThrow();
    await writeFile(version, good);
  });

  it.runIf(process.getuid?.() === 0)('runs as nobody when started by root where user namespaces are refused', async () => {
    const refusing = join(folder, 'bin');
    await mkdir(refusing);
    await writeFile(join(refusing, 'unshare'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    // The user nobody must be able to reach the data.
    await chmod(folder, 0o755);
    const { databaseUrl } = await startElsewhere({ PATH: `${refusing}${delimiter}${process.env['PATH']}` });
    expect(await query(databaseUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});
