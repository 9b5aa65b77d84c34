import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { on } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TrainOptions } from '../engine/contract.ts';
import type { Answer, Command, Ready } from './messages.ts';

const PROGRAM = fileURLToPath(new URL('program.ts', import.meta.url));

/** How many of its last output lines are kept to explain a crash. */
const OUTPUT_LINES_KEPT = 30;

/** The answers that end a command. */
const LAST_ANSWERS = ['done', 'verified', 'stopped', 'failed'];

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
   * @throws TrainingProcessDied when the process ends before that
   */
  train(options: Omit<TrainOptions, 'signal' | 'report'>): AsyncGenerator<Answer>;
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

export class TrainingProcessDied extends Error {
  override readonly name = 'TrainingProcessDied';

  /** @param how `exit code 1`, `SIGKILL` */
  constructor(readonly how: string) {
    super(`the training process ended with ${how}`);
  }
}

export interface ForkOptions {
  /** Its whole environment: nothing is inherited. */
  env: Record<string, string>;
  /** Called with each line it prints. */
  onOutput?: (line: string) => void;
}

/** Starts a training process: it loads TensorFlow at once and then waits for its job. */
export function forkTraining({ env, onOutput = () => {} }: ForkOptions): ForkedTraining {
  const child = fork(PROGRAM, [], {
    execArgv: ['--expose-gc', '--import', import.meta.resolve('tsx')],
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
  const output: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) {
    createInterface({ input: stream }).on('line', (line) => {
      output.push(line);
      if (output.length > OUTPUT_LINES_KEPT) output.shift();
      onOutput(line);
    });
  }
  const id = randomUUID();

  /** Its answers up to the one that ends the command. @param whenReady called when it has loaded TensorFlow and is listening */
  async function* answers(whenReady = () => {}): AsyncGenerator<Answer> {
    try {
      for (;;) {
        const { value, done } = (await messages.next()) as IteratorResult<[Ready | Answer], undefined>;
        if (done === true) break;
        const [message] = value;
        if (message.answer === 'ready') {
          whenReady();
          continue;
        }
        yield message;
        if (LAST_ANSWERS.includes(message.answer)) return;
      }
    } catch {
      // An error event of the child. How it ended says more.
    }
    throw new TrainingProcessDied(await gone);
  }

  return {
    pid: child.pid,
    async ready() {
      const died = await Promise.race([ready, gone]);
      if (died !== undefined) throw new TrainingProcessDied(died);
    },
    train: (options) => answers(() => send(child, { id, command: 'train', options })),
    async verify(deliveredDir) {
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
