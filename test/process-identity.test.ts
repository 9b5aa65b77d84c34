import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { hasEnded, isStopped, processIdentity, startTicks } from '../src/process-identity.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process that sleeps, and its identity as it would write it itself. */
async function sleeper() {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  const [where] = processIdentity().split('.');
  return { child, where, identity: `${where}.${child.pid}.${await startTicks(child.pid!)}` };
}

describe('a process that was named', () => {
  it('runs until it is killed, and has ended from then on', async () => {
    const { child, identity } = await sleeper();
    expect(await hasEnded(identity)).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await hasEnded(identity)).toBe(true);
    expect(await hasEnded(processIdentity())).toBe(false);
  });

  it('is stopped from SIGSTOP to SIGCONT', async () => {
    const { child } = await sleeper();
    for (const [signal, expected] of [
      ['SIGSTOP', true],
      ['SIGCONT', false],
    ] as const) {
      child.kill(signal);
      await vi.waitFor(() => expect(isStopped(child.pid!)).toBe(expected));
    }
  });

  it('has ended when another process has its pid', async () => {
    const { child, where } = await sleeper();
    expect(await hasEnded(`${where}.${child.pid}.1`)).toBe(true);
  });

  it('on another machine, or in another container › is not known to have ended', async () => {
    expect(await hasEnded(`0123456789ab.${2 ** 22 + 1}.1`)).toBe(false);
    expect(await hasEnded('a')).toBe(false);
  });
});
