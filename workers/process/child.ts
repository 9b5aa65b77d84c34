/** A process of the worker: forked with an environment of its own, confined, ended with its parent, and its last words kept. */
import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { oneFile } from '../../src/one-file.ts';
import { killedWithParent } from './parent-death.ts';

/** How many of its last output lines are kept to explain a crash. What ended it is told first: a stack (25 lines) of each thread may come after that. */
const OUTPUT_LINES_KEPT = 200;

/** How long its last output is waited for once it has exited. */
const LAST_WORDS_MS = 1_000;

export interface ChildOptions {
  /** Its whole environment: nothing is inherited. */
  env: Record<string, string>;
  /** A command that runs it, see confinement.ts. */
  prefix?: readonly string[];
  /** Called with each line it prints. */
  onOutput?: (line: string) => void;
}

export interface Child {
  process: ChildProcess;
  /** Resolves when it has exited, with how: `exit code 1`, `SIGKILL`. */
  gone: Promise<string>;
  isGone(): boolean;
  /** The last lines it printed. */
  output(): string;
  /** The same once it has exited and all of it has arrived. */
  lastWords(): Promise<string>;
  /** Sends a message. If it has exited, whoever waits for its answers finds out. */
  send(message: object): void;
  /** Kills it. Resolves when it has exited. */
  kill(): Promise<void>;
}

export function forkChild(program: string, args: readonly string[], { env, prefix = [], onOutput = () => {} }: ChildOptions): Child {
  const file = oneFile(program);
  const loading = file === null ? ['--import', import.meta.resolve('tsx')] : ['--enable-source-maps'];
  const [execPath, ...execArgv] = [...prefix, ...killedWithParent(), process.execPath, '--expose-gc', ...loading];
  const child = fork(file ?? program, args, {
    execPath,
    execArgv,
    serialization: 'advanced', // NaN and undefined survive it
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env,
  });
  const gone = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    child.once('error', (error) => resolve(error.message));
  });
  child.on('error', () => {}); // reported through `gone`
  const printed = new Promise((resolve) => child.once('close', resolve));
  const output: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) {
    createInterface({ input: stream }).on('line', (line) => {
      output.push(line);
      if (output.length > OUTPUT_LINES_KEPT) output.shift();
      onOutput(line);
    });
  }
  return {
    process: child,
    gone,
    isGone: () => child.exitCode !== null || child.signalCode !== null,
    output: () => output.join('\n'),
    async lastWords() {
      await Promise.race([printed, delay(LAST_WORDS_MS)]);
      return output.join('\n');
    },
    send(message) {
      if (child.connected) child.send(message, () => {});
    },
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
