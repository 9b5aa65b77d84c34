import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { on } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isStopped } from '../../src/process-identity.ts';
import type { TrainOptions } from '../engine/contract.ts';
import { died, TrainingProcessDied } from './died.ts';
import type { Answer, Command, Ready } from './messages.ts';
import { killedWithParent } from './parent-death.ts';
import { activity, PATIENCE, type Patience, TrainingProcessHung } from './patience.ts';

const PROGRAM = fileURLToPath(new URL('program.ts', import.meta.url));

/** How many of its last output lines are kept to explain a crash. What ended it is told first: a stack (25 lines) of each thread may come after that. */
const OUTPUT_LINES_KEPT = 200;

/** How long its last output is waited for once it has exited. */
const LAST_WORDS_MS = 1_000;

/** The answers that end a command. */
const LAST_ANSWERS = ['done', 'measured', 'verified', 'stopped', 'failed'];

/** A training process as the worker sees it. It runs one job. */
export interface ForkedTraining {
  readonly pid: number | undefined;
  /**
   * Resolves when it has loaded TensorFlow and is waiting for a job.
   * @throws TrainingProcessDied
   */
  ready(): Promise<void>;
  /**
   * Trains. Yields the answers in order; the last is `done`, `stopped` or `failed`.
   * @throws TrainingProcessDied when the process ends before that, or makes no progress and must be killed
   */
  train(options: Omit<TrainOptions, 'signal' | 'report'>): AsyncGenerator<Answer>;
  /**
   * Prepares the same run and measures what it would need. Yields the answers in order; the last is `measured`, `stopped` or `failed`.
   * @throws TrainingProcessDied as `train` does
   */
  dryRun(options: Omit<TrainOptions, 'signal' | 'report'> & { checkpointsDir: string }): AsyncGenerator<Answer>;
  /**
   * After `done`: compares the files in this folder with what was trained.
   * @returns `verified`, `stopped` or `failed`
   * @throws TrainingProcessDied
   */
  verify(deliveredDir: string): Promise<Answer>;
  /** Asks it to stop after the current step and to write a checkpoint. */
  stop(): void;
  /** Kills it. Resolves when it has exited. */
  kill(): Promise<void>;
  isGone(): boolean;
  /** The last lines it printed. */
  output(): string;
}

export interface ForkOptions {
  /** Its whole environment: nothing is inherited. */
  env: Record<string, string>;
  /** A command that runs it, see confinement.ts. */
  prefix?: readonly string[];
  /** Called with each line it prints. */
  onOutput?: (line: string) => void;
  patience?: Patience;
}

/** Starts a training process: it loads TensorFlow at once and then waits for its job. */
export function forkTraining({ env, prefix = [], onOutput = () => {}, patience = PATIENCE }: ForkOptions): ForkedTraining {
  const [execPath, ...execArgv] = [...prefix, ...killedWithParent(), process.execPath, '--expose-gc', '--import', import.meta.resolve('tsx')];
  const child = fork(PROGRAM, [], {
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
  // Listens from the start, so that no message is lost. `disconnect` comes after the last one.
  const messages = on(child, 'message', { close: ['disconnect'] });
  const ready = new Promise<void>((resolve) => child.once('message', () => resolve())); // its first message is `ready`
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
  const id = randomUUID();
  const current = activity(patience, () => child.pid !== undefined && isStopped(child.pid));

  /** Its answers up to the one that ends the command. @param whenReady called when it has loaded TensorFlow and is listening */
  async function* answers(whenReady = () => {}): AsyncGenerator<Answer> {
    try {
      for (;;) {
        const waitingMs = performance.now();
        const { value, done } = (await current.within(messages.next())) as IteratorResult<[Ready | Answer], undefined>;
        if (done === true) break;
        const [message] = value;
        current.answered(message, performance.now() - waitingMs);
        if (message.answer === 'ready') whenReady();
        if (message.answer === 'ready' || message.answer === 'working') continue;
        yield message;
        if (LAST_ANSWERS.includes(message.answer)) return;
      }
    } catch (error) {
      if (error instanceof TrainingProcessHung) throw error;
      // An error event of the child. How it ended says more.
    }
    const how = await gone;
    await Promise.race([printed, delay(LAST_WORDS_MS)]);
    throw died(how, output.join('\n'));
  }

  return {
    pid: child.pid,
    async ready() {
      const how = await Promise.race([ready, gone]);
      if (how !== undefined) throw new TrainingProcessDied(how);
    },
    train: (options) => answers(() => send(child, { id, command: 'train', options })),
    dryRun: (options) => answers(() => send(child, { id, command: 'dry_run', options })),
    async verify(deliveredDir) {
      current.verifies();
      send(child, { id, command: 'verify', deliveredDir });
      for await (const answer of answers()) return answer;
      throw new Error('unreachable: `answers` yields at least one answer or throws');
    },
    stop: () => send(child, { id, command: 'stop' }),
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
    isGone: () => child.exitCode !== null || child.signalCode !== null,
    output: () => output.join('\n'),
  };
}

function send(child: ChildProcess, command: Command): void {
  // If it has exited, whoever waits for its answers finds out.
  if (child.connected) child.send(command, () => {});
}
