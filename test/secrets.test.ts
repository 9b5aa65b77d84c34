import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../scripts/demo/free-port.ts';
import { openDataDir } from '../src/data-dir.ts';
import { openLog } from '../src/log.ts';

const VALKEY = fileURLToPath(new URL('../node_modules/.graft/valkey-server', import.meta.url));
const PROGRAMS = ['src/server.ts', 'workers/main.ts'];

let home: string;
const children: ChildProcess[] = [];
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'graft-secrets-'));
});
afterAll(() => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true });
});

/** Runs a program of the service. @returns all that it has printed, also later */
function start(program: string, env: Record<string, string>) {
  const child = spawn(process.execPath, ['scripts/run.mjs', program], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], DATA_DIR: join(home, 'data'), PORT: '0', WORKERS: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  return { child, output: () => output };
}

describe('a secret in the settings', () => {
  it('that the server refuses › is in no output of the service and of the worker', { timeout: 120_000 }, async () => {
    const port = await freePort();
    children.push(spawn(VALKEY, ['--port', String(port), '--requirepass', 'the-right-one', '--save', ''], { cwd: home, stdio: 'ignore' }));
    const programs = PROGRAMS.map((program) =>
      start(program, { REDIS_URL: `redis://:not-th3-right-one@127.0.0.1:${port}/0`, HF_TOKEN: 'hf_s3cret' }),
    );
    for (const { output } of programs) await expect.poll(output, { timeout: 90_000, interval: 200 }).toMatch(/WRONGPASS|NOAUTH/);
    const [service, worker] = programs as [(typeof programs)[0], (typeof programs)[0]];
    for (const [{ child }, signal] of [
      [worker, 'SIGKILL'],
      [service, 'SIGTERM'],
    ] as const) {
      child.kill(signal); // the service is the last to go, and stops Postgres
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    for (const { output } of programs) expect(output()).not.toMatch(/not-th3-right-one|hf_s3cret/);
    const open = readdirSync(join(home, 'data'), { recursive: true, withFileTypes: true }).filter(
      (entry) => !entry.isSymbolicLink() && (statSync(join(entry.parentPath, entry.name)).mode & 0o077) !== 0,
    );
    expect(open.map(({ parentPath, name }) => join(parentPath, name))).toEqual([]);
  });

  it.each(PROGRAMS)('of a URL that cannot be parsed › %s ends, names the variable and does not print it', { timeout: 60_000 }, async (program) => {
    const { child, output } = start(program, { REDIS_URL: 'redis://me:pa55word@ho st:1', DATABASE_URL: 'postgresql:/me:pa55word@host/db' });
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(1);
    expect(output()).toMatch(/DATABASE_URL.*\n.*REDIS_URL/);
    expect(output()).not.toContain('pa55word');
  });
});

describe('DATA_DIR', () => {
  it('that others can look into › is left as it is, and said so', () => {
    const mask = process.umask();
    const lines: string[] = [];
    const log = openLog('info', { write: (line) => void lines.push(line) });
    try {
      const wide = join(home, 'wide');
      mkdirSync(wide, { mode: 0o755 });
      openDataDir(wide, log);
      openDataDir(join(home, 'own', 'data'), log);
      expect(lines.map((line) => (JSON.parse(line) as { dataDir: string; mode: string }).dataDir)).toEqual([wide]);
      expect(statSync(wide).mode & 0o777).toBe(0o755);
      expect(statSync(join(home, 'own', 'data')).mode & 0o777).toBe(0o700);
    } finally {
      process.umask(mask);
    }
  });
});
