import { randomUUID } from 'node:crypto';
import { on } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isStopped } from '../../src/process-identity.ts';
import type { SentSpan } from '../../src/tracing/tracing.ts';
import type { TrainOptions } from '../engine/contract.ts';
import { type Child, type ChildOptions, forkChild } from './child.ts';
import { died, TrainingProcessDied } from './died.ts';
import type { Answer, Command, Ready } from './messages.ts';
import { activity, PATIENCE, type Patience, TrainingProcessHung } from './patience.ts';

const PROGRAM = fileURLToPath(new URL('program.ts', import.meta.url));

/** The answers that end a command. */
const LAST_ANSWERS = ['done', 'measured', 'verified', 'analysed', 'stopped', 'paused', 'late', 'failed'];

/** A training process as the worker sees it: one job's run in it. */
export interface ForkedTraining {
  readonly pid: number | undefined;
  /** Makes what it does from now on part of a trace. @param forward  receives the spans of the process */
  trace(trace: { traceParent: string; serviceName: string }, forward: (spans: readonly SentSpan[]) => void): void;
  /**
   * Resolves when it has loaded TensorFlow and is waiting for a job.
   * @throws TrainingProcessDied
   */
  ready(): Promise<void>;
  /**
   * Trains. Yields the answers in order; the last is `done`, `stopped`, `paused`, `late` or `failed`.
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
  /**
   * After `verified`: measures what training changed, from the same files.
   * @param retentionFile what the model must not forget; null: texts that the base model writes
   * @returns `analysed`, `stopped` or `failed`
   * @throws TrainingProcessDied
   */
  analyse(files: { deliveredDir: string; retentionFile: string | null }): Promise<Answer>;
  /** Asks it to stop after the current step and to write a checkpoint. */
  stop(): void;
  /** Kills it, or ends only this run if others share the process. Resolves when it has exited, or the run is over. */
  kill(): Promise<void>;
  /**
   * For jobs that train on one base: runs that share this process and, where they fit together, one copy of the base. Use these instead of this one.
   * @returns that many
   */
  share(runs: number): ForkedTraining[];
  isGone(): boolean;
  /** The last lines it printed. */
  output(): string;
}

export interface ForkOptions extends ChildOptions {
  patience?: Patience;
}

/** Starts a training process: it loads TensorFlow at once and then waits for its job. */
export function forkTraining({ patience = PATIENCE, ...options }: ForkOptions): ForkedTraining {
  const child = forkChild(PROGRAM, [], options);
  const loaded = new Promise<void>((resolve) => child.process.once('message', () => resolve())); // its first message is `ready`
  const process = { child, loaded, patience };
  return openRun(process, null);
}

interface RunProcess {
  child: Child;
  /** Resolves when it has loaded TensorFlow and is listening; never if it ends before that. */
  loaded: Promise<void>;
  patience: Patience;
}

/** The runs that share a process. */
interface Shared {
  runs: number;
  /** Those that have not ended. */
  left: Set<number>;
}

/** @param seat null for a run that has the process to itself */
function openRun(process: RunProcess, seat: { shared: Shared; run: number } | null): ForkedTraining {
  const { child, loaded, patience } = process;
  const { gone, isGone, output } = child;
  const id = randomUUID();
  const send = (command: Command) => child.send(command);
  const together = seat && { runs: seat.shared.runs, run: seat.run };
  let traced: { send(): void; forward(spans: readonly SentSpan[]): void } | null = null;
  const isDead = !child.process.connected; // a spare that ended just now
  // Listens from the start, so that no message is lost. `disconnect` comes after the last one.
  const messages = on(child.process, 'message', { close: ['disconnect'] });
  const current = activity(patience, () => child.process.pid !== undefined && isStopped(child.process.pid));
  let killing: Promise<void> | null = null;
  const hasLeft = (): boolean => killing !== null && seat !== null;

  /** Its answers up to the one that ends the command. @param begin sends the command; default: it has been sent */
  async function* answers(begin?: () => void): AsyncGenerator<Answer> {
    try {
      if (begin !== undefined) {
        await current.within(Promise.race([loaded, gone]));
        if (!isGone()) {
          traced?.send();
          begin();
        }
      }
      while (!isDead) {
        const waitingMs = performance.now();
        const { value, done } = (await current.within(messages.next())) as IteratorResult<[Ready | Answer], undefined>;
        if (done === true || hasLeft()) break;
        const [message] = value;
        // A sign of another run is one of the process: it works on one after the other.
        if (message.answer === 'ready' || message.id !== id) continue;
        current.answered(message, performance.now() - waitingMs);
        if (message.answer === 'spans') traced?.forward(message.spans);
        if (message.answer === 'working' || message.answer === 'spans') continue;
        yield message;
        if (LAST_ANSWERS.includes(message.answer)) return;
      }
    } catch (error) {
      if (error instanceof TrainingProcessHung && seat !== null) void child.kill(); // none of its runs gets any further
      if (error instanceof TrainingProcessDied) throw error;
      // An error event of the child. How it ended says more.
    }
    if (hasLeft()) throw new TrainingProcessDied('an order to leave it');
    const how = await gone;
    throw died(how, await child.lastWords());
  }

  async function onlyAnswer(): Promise<Answer> {
    for await (const answer of answers()) return answer;
    throw new Error('unreachable: `answers` yields at least one answer or throws');
  }

  /** The last run takes the process with it. */
  async function leave({ shared, run }: NonNullable<typeof seat>): Promise<void> {
    shared.left.delete(run);
    if (shared.left.size === 0) return child.kill();
    const over = new Promise<void>((resolve) => {
      const listen = (message: Ready | Answer) => {
        if (message.answer !== 'left' || message.id !== id) return;
        child.process.off('message', listen);
        resolve();
      };
      child.process.on('message', listen);
    });
    send({ id, command: 'leave', together: { runs: shared.runs, run } });
    await Promise.race([over, gone]);
    await messages.return?.();
  }

  return {
    pid: child.process.pid,
    async ready() {
      const how = await Promise.race([loaded, gone]);
      if (how !== undefined) throw new TrainingProcessDied(how);
    },
    trace(trace, forward) {
      traced = { send: () => send({ id, command: 'trace', ...trace }), forward };
    },
    train: (options) => answers(() => send({ id, command: 'train', options, together })),
    dryRun: (options) => answers(() => send({ id, command: 'dry_run', options })),
    verify(deliveredDir) {
      current.reads('verifying the result');
      send({ id, command: 'verify', deliveredDir });
      return onlyAnswer();
    },
    analyse(files) {
      current.reads('analysing the result');
      send({ id, command: 'analyse', ...files });
      return onlyAnswer();
    },
    stop: () => send({ id, command: 'stop' }),
    kill() {
      killing ??= seat === null ? child.kill() : leave(seat);
      return killing;
    },
    share(runs) {
      void messages.return?.(); // it would keep what the runs are told
      child.process.setMaxListeners(0); // each run has its own
      const shared = { runs, left: new Set(Array(runs).keys()) };
      return [...shared.left].map((run) => openRun(process, { shared, run }));
    },
    isGone,
    output,
  };
}
