/** Running a program to its end, and waiting for a process that is not our child. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** What to put before a command line, and which user it becomes, so that a program that refuses root starts. */
export interface Identity {
  prefix: readonly string[];
  uid?: number;
  gid?: number;
}

/** @throws Error with the command's last output lines when it fails, or when it is missing */
export async function runCommand(command: readonly string[], { prefix, ...user }: Identity = { prefix: [] }): Promise<void> {
  const [program = '', ...args] = [...prefix, ...command];
  // A daemon started by the command inherits its output: only 'exit' tells that the command itself is over.
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
    throw new Error(`${command[0]} ended with ${code}\n${output.trim()}`);
  }
  child.stdout.destroy();
  child.stderr.destroy();
}

/** When a process began, in clock ticks since boot: with its pid it names a process for good. null when there is none. */
export async function startTicks(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name in parentheses may hold spaces; after it field 3 is the state and field 22 the start (proc_pid_stat(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}

/** Asks a process to end and waits for it; kills it after `patienceMs`. */
export async function endProcess(pid: number, signal: NodeJS.Signals, patienceMs = 20_000): Promise<void> {
  const born = await startTicks(pid);
  if (born === null) return;
  const send = (name: NodeJS.Signals) => {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  send(signal);
  const deadline = Date.now() + patienceMs;
  while ((await startTicks(pid)) === born) {
    if (Date.now() > deadline) send('SIGKILL');
    await delay(20);
  }
}
