import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { endIfSilent } from '../../src/embedded/end-if-silent.ts';

const module = JSON.stringify(new URL('../../src/embedded/end-if-silent.ts', import.meta.url).href);
const TALKING = `(await import(${module})).sayAlive(100); process.send('begun'); setInterval(() => {}, 1000);`;

describe('a child that says that it is alive', () => {
  it('lives until its process is stopped, and is killed then', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', TALKING], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const exit = once(child, 'exit');
    await once(child, 'message');
    const onSilent = vi.fn();
    endIfSilent(child, onSilent, 3_000);
    await delay(4_000);
    expect(onSilent).not.toHaveBeenCalled();
    child.kill('SIGSTOP');
    expect(await exit).toEqual([null, 'SIGKILL']);
    expect(onSilent).toHaveBeenCalledOnce();
  });
});
