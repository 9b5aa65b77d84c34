/** Runs a program to completion, and ends a process that is not our child. */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { startTicks } from '../process-identity.ts';

/** A command prefix and a user that let a program start even if it refuses to run as root. */
export interface Identity {
  prefix: readonly string[];
  uid?: number;
  gid?: number;
}

/** @throws Error when the command is missing, or fails (then with the end of its output) */
export async function runCommand(command: readonly string[], { prefix, ...user }: Identity = { prefix: [] }): Promise<void> {
  const [program = '', ...args] = [...prefix, ...command];
  // A daemon started by the command inherits its output: only 'exit' shows that the command itself has ended.
  const child = spawn(program, args, { ...user, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4000);
    });
  }
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`cannot run ${program}: ${error.message}`)));
    child.once('exit', (status, signal) => resolve(status ?? signal ?? 'unknown'));
  });
  if (code !== 0) {
    await delay(20); // the last lines may still be in the pipe
    child.stdout.destroy();
    child.stderr.destroy();
    throw new Error(`${command[0]} exited with ${code}\n${output.trim()}`);
  }
  child.stdout.destroy();
  child.stderr.destroy();
}

/** Signals a process to end and waits for it; kills it after `timeoutMs`. */
export async function endProcess(pid: number, signal: NodeJS.Signals, timeoutMs = 20_000): Promise<void> {
  const startedAt = await startTicks(pid);
  if (startedAt === null) return;
  const send = (name: NodeJS.Signals) => {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  send(signal);
  const deadline = Date.now() + timeoutMs;
  while ((await startTicks(pid)) === startedAt) {
    if (Date.now() > deadline) send('SIGKILL');
    await delay(20);
  }
}
