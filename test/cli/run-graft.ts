import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../cli/graft.mjs', import.meta.url));

export interface Ran {
  code: number | string;
  stdout: string;
  stderr: string;
}

export interface Place {
  /** Where it runs, and where it keeps its settings. */
  cwd: string;
  env?: Record<string, string>;
  /** What is typed into it. */
  input?: string;
}

/** Starts the real command, as a shell does, with an environment in which nothing of this machine's user is. */
export function startGraft(args: readonly string[], { cwd, env = {}, input = '' }: Place): { child: ChildProcess; ended: Promise<Ran> } {
  const { PATH = '', HOME = cwd } = process.env;
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    env: { PATH, HOME, XDG_CONFIG_HOME: join(cwd, 'config'), ...env },
  });
  child.stdin.end(input);
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]).then(([stdout, stderr]) => ({
    code: child.signalCode ?? child.exitCode!,
    stdout,
    stderr,
  }));
  return { child, ended };
}

export const runGraft = (args: readonly string[], place: Place): Promise<Ran> => startGraft(args, place).ended;
