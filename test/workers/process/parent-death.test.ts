import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { startTicks } from '../../../src/process-identity.ts';
import { killedWithParent } from '../../../workers/process/parent-death.ts';

const parentDeath = fileURLToPath(new URL('../../../workers/process/parent-death.ts', import.meta.url));
const tsx = import.meta.resolve('tsx');

/** Starts a parent that starts this command and prints its pid; kills the parent once the command has written a line. @returns the pid of the orphan */
async function orphan(command: readonly string[]): Promise<number> {
  const source = `
    const child = require('node:child_process').spawn(${JSON.stringify(command[0])}, ${JSON.stringify(command.slice(1))}, { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.once('data', () => console.log(child.pid));
    setInterval(() => {}, 1000);
  `;
  const parent = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [pid] = await once(parent.stdout, 'data');
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  return Number(String(pid));
}

const BUSY = 'setTimeout(() => { for (;;); }, 100)';

const expectItsEnd = (pid: number) =>
  vi.waitFor(
    async () => {
      const ticks = await startTicks(pid);
      if (ticks !== null) throw new Error(`process ${pid} lives on`);
    },
    { timeout: 5_000, interval: 50 },
  );

describe('a process whose event loop is busy and whose parent is killed', () => {
  it.runIf(process.platform === 'linux')('is killed by the kernel where setpriv is installed', async () => {
    expect(killedWithParent()).not.toEqual([]);
    await expectItsEnd(await orphan([...killedWithParent(), process.execPath, '-e', `console.log('ready'); ${BUSY}`]));
  });

  it('is killed by its own thread elsewhere', async () => {
    const source = `const { dieWithParent } = await import(${JSON.stringify(parentDeath)}); dieWithParent({ graceMs: 300 }); console.log('ready'); ${BUSY}`;
    await expectItsEnd(await orphan([process.execPath, '--import', tsx, '--input-type=module', '-e', source]));
  });
});
