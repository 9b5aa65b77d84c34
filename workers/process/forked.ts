import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { on } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TrainOptions } from '../engine/contract.ts';
import type { Answer, Command, Ready } from './messages.ts';

const PROGRAM = fileURLToPath(new URL('program.ts', import.meta.url));

/** Last lines of its output that are kept to explain a crash. */
const OUTPUT_LINES_KEPT = 30;

/** The answers that end a command. */
const LAST_ANSWERS = ['done', 'verified', 'stopped', 'failed'];

/** A training process, seen from the worker. It runs one job and is gone. */
export interface ForkedTraining {
  readonly pid: number | undefined;
  /**
   * Resolves when it has loaded TensorFlow and waits for a job.
   * @throws TrainingProcessDied
   */
  ready(): Promise<void>;
  /**
   * Trains; answers in order, the last is `done`, `stopped` or `failed`.
   * @throws TrainingProcessDied when the process ends before that
   */
  train(options: Omit<TrainOptions, 'signal' | 'report'>): AsyncGenerator<Answer>;
  /**
   * After `done`: compares the files in this folder with what was trained.
   * @returns `verified`, `stopped` or `failed`
   * @throws TrainingProcessDied
   */
  verify(deliveredDir: string): Promise<Answer>;
  /** Asks it to stop after the step under way and to write a checkpoint. */
  stop(): void;
  /** Ends it at once. @returns when it is gone */
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
  /** All that it sees of the environment. */
  env: Record<string, string>;
  /** Each line it prints. */
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
  // Listening from the start: nothing it says is lost, and `disconnect` comes after its last message.
  const messages = on(child, 'message', { close: ['disconnect'] });
  const ready = new Promise<void>((resolve) => child.once('message', () => resolve())); // what it says first
  child.on('error', () => {}); // `gone` tells it
  const output: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) {
    createInterface({ input: stream }).on('line', (line) => {
      output.push(line);
      if (output.length > OUTPUT_LINES_KEPT) output.shift();
      onOutput(line);
    });
  }
  const id = randomUUID();

  /** Its answers up to the one that ends the command. @param whenReady it has loaded TensorFlow and listens */
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
      // An error event of the child: how it ended says more.
    }
    throw new TrainingProcessDied(await gone);
  }

  return {
    pid: child.pid,
    async ready() {
      const died = await Promise.race([ready, gone]);
      if (died !== undefined) throw new TrainingProcessDied(died);
    },
    train: (options) => answers(() => tell(child, { id, command: 'train', options })),
    async verify(deliveredDir) {
      tell(child, { id, command: 'verify', deliveredDir });
      for await (const answer of answers()) return answer;
      throw new Error('a command ends with an answer');
    },
    stop: () => tell(child, { id, command: 'stop' }),
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
    isGone: () => child.exitCode !== null || child.signalCode !== null,
    output: () => output.join('\n'),
  };
}

function tell(child: ChildProcess, command: Command): void {
  // One that is gone is noticed by whoever waits for its answers.
  if (child.connected) child.send(command, () => {});
}
