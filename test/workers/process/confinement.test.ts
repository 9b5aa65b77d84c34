import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { confinement } from '../../../workers/process/confinement.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-confinement-'));
  mkdirSync(join(dir, 'objects'));
  writeFileSync(join(dir, 'objects', 'dataset'), 'private');
  writeFileSync(join(dir, 'api-key'), 'graft-key');
  writeFileSync(join(dir, 'job'), 'lines');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const confined = (options: Partial<Parameters<typeof confinement>[0]> = {}) =>
  confinement({ hidden: [], namespaces: true, maxMemoryBytes: null, wrapper: [], ...options });
const run = (prefix: readonly string[], ...command: string[]) =>
  spawnSync(prefix[0]!, [...prefix.slice(1), ...command], { encoding: 'utf8', timeout: 20_000 });

// Where the system has no user namespaces (most containers), the problem says so and the weaker guards are tested.
const { problem } = confined();

describe('a confined process', () => {
  it('is the command itself: with its pid, its environment and its channels', async () => {
    const { prefix } = confined();
    const child = spawn(prefix[0]!, [...prefix.slice(1), process.execPath, '-e', 'process.send({ pid: process.pid, env: process.env.GIVEN })'], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { PATH: process.env['PATH'], GIVEN: 'x' },
    });
    const [message] = (await once(child, 'message')) as unknown[];
    expect(message).toEqual({ pid: child.pid, env: 'x' });
  });

  it('ends before others when memory runs out', () => {
    expect(run(confined().prefix, 'cat', '/proc/self/oom_score_adj').stdout.trim()).toBe('500');
  });

  it('keeps the network where the operator wants no namespaces', () => {
    const { prefix, achieved } = confined({ namespaces: false, hidden: [dir] });
    expect(achieved).toBe('first to be ended when memory runs out');
    expect(run(prefix, 'cat', join(dir, 'job')).stdout).toBe('lines');
  });

  it('gets no more memory than its limit', () => {
    const { prefix } = confined({ maxMemoryBytes: 512 * 2 ** 20 });
    const { status } = run(prefix, process.execPath, '-e', 'const held = []; for (let i = 0; i < 64; i++) held.push(Buffer.alloc(2 ** 25, 1))');
    expect(status).not.toBe(0);
    expect(run(confined().prefix, process.execPath, '-e', 'Buffer.alloc(2 ** 30, 1)').status).toBe(0);
  });

  it("runs within the operator's own command", () => {
    const { prefix, achieved } = confined({ wrapper: ['prlimit', '--nofile=64'] });
    expect(achieved).toBe(confined().achieved);
    expect(run(prefix, 'sh', '-c', 'ulimit -n').stdout.trim()).toBe('64');
  });

  it('is not started without the limits that the operator wants', () => {
    expect(() => confined({ wrapper: ['prlimit', '--no-such-limit=1', '--'] })).toThrow(
      /^TRAINING_WRAPPER "prlimit --no-such-limit=1 --" does not run a command: /,
    );
    expect(() => confined({ wrapper: ['/not/there'] })).toThrow(/ENOENT/);
  });

  it.runIf(problem === null)('sees neither the hidden paths nor a way to show them again', () => {
    const hidden = [join(dir, 'objects'), join(dir, 'api-key'), join(dir, 'not-there')];
    const { prefix } = confined({ hidden });
    expect(run(prefix, 'cat', join(dir, 'objects', 'dataset')).stdout).toBe('');
    expect(run(prefix, 'cat', join(dir, 'api-key')).stdout).toBe('');
    expect(run(prefix, 'umount', join(dir, 'objects')).status).not.toBe(0);
    expect(run(prefix, 'cat', join(dir, 'job')).stdout).toBe('lines');
    expect(readFileSync(join(dir, 'api-key'), 'utf8')).toBe('graft-key');
  });

  it.runIf(problem === null)("cannot read another process's environment, nor trace it", () => {
    const other = spawn('sleep', ['30'], { env: { SECRET: 'password' }, stdio: 'ignore' });
    expect(readFileSync(`/proc/${other.pid}/environ`, 'utf8')).toContain('password');
    const { status, stdout } = run(confined().prefix, 'cat', `/proc/${other.pid}/environ`);
    other.kill();
    expect(status).not.toBe(0);
    expect(stdout).toBe('');
  });

  it.runIf(problem === null)('reaches no network, not even a server of this machine', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { prefix } = confined();
    const source = `require('node:net').connect(${port}, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(3))`;
    expect(run(prefix, process.execPath, '-e', source).status).toBe(3);
    server.close();
  });
});
