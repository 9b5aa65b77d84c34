import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withFileLock } from '../src/file-lock.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-lock-'));
});
afterEach(() => rm(dir, { recursive: true }));

const never = new AbortController().signal;

describe('withFileLock', () => {
  it('lets only one at a time do its work', async () => {
    const path = join(dir, 'deeper', 'lock');
    let inside = 0;
    const work = async () => {
      inside += 1;
      expect(inside).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside -= 1;
    };
    await Promise.all([1, 2, 3, 4].map(() => withFileLock(path, never, work)));
    expect(inside).toBe(0);
  });

  it('is released when the work fails', async () => {
    const path = join(dir, 'lock');
    await expect(withFileLock(path, never, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(withFileLock(path, never, async () => 'mine')).resolves.toBe('mine');
  });

  it('is released the moment its holder is killed, to one of several that wait', async () => {
    const path = join(dir, 'lock');
    const program = `const { withFileLock } = await import('./src/file-lock.ts');
      await withFileLock(process.argv[1], new AbortController().signal, () => new Promise(() => { console.log('held'); setInterval(() => {}, 1000); }));`;
    const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    let inside = 0;
    const waiting = [1, 2].map(() =>
      withFileLock(path, never, async () => {
        inside += 1;
        expect(inside).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 150));
        inside -= 1;
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(inside).toBe(0);
    holder.kill('SIGKILL');
    await Promise.all(waiting);
  });

  it('stops waiting with the signal’s reason', async () => {
    const path = join(dir, 'lock');
    const impatient = new AbortController();
    await withFileLock(path, never, async () => {
      const waiting = withFileLock(path, impatient.signal, async () => 'mine');
      impatient.abort(new Error('cancelled'));
      await expect(waiting).rejects.toThrow('cancelled');
    });
  });
});
