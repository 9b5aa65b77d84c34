/**
 * The process that trains: paths in, paths out. It knows no database, queue, storage or credentials; whoever forked it speaks messages.ts with it.
 * One run blocks its event loop, may take all its memory, and may crash: that is why it is a process of its own.
 */
import type { StepMetrics, TrainReport } from './engine/contract.ts';
import { tf } from './engine/tensorflow.ts';
import { train } from './engine/train.ts';
import type { Answer, Command, Ready } from './messages.ts';
import { asTrainingError } from './training-error.ts';

// A Ctrl-C or a service manager signals the whole group; the worker then says `stop`, and a checkpoint is written.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
// Nobody is left to hear an answer.
process.on('disconnect', () => process.exit(0));

const running = new Map<string, AbortController>();

process.on('message', (command: Command) => {
  if (command.command === 'stop') running.get(command.id)?.abort(new Stopped());
  else void run(command);
});

async function run({ id, options }: Extract<Command, { command: 'train' }>): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  const report: TrainReport = {
    receipt: (receipt) => send({ id, answer: 'receipt', receipt }),
    prepared: (facts) => send({ id, answer: 'prepared', facts }),
    step: (metrics: StepMetrics) => send({ id, answer: 'step', metrics }),
    checkpoint: (checkpoint) => send({ id, answer: 'checkpoint', checkpoint }),
  };
  try {
    const result = await train({ ...options, signal: controller.signal, report });
    await send({ id, answer: 'done', result });
  } catch (error) {
    if (error instanceof Stopped) {
      await send({ id, answer: 'stopped' });
      return;
    }
    const failure = asTrainingError(error);
    if (failure.code === 'internal_error') console.error(error);
    await send({ id, answer: 'failed', error: failure });
  } finally {
    running.delete(id);
  }
}

/** Resolves when the message has been written: a slow reader slows the loop down instead of filling the memory. */
function send(message: Answer | Ready): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, undefined, undefined, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

class Stopped extends Error {
  override readonly name = 'Stopped';
}

if (process.send === undefined) {
  console.error('training-process is started by a worker. To train by hand: npm run train -- --help');
  process.exit(2);
}
await tf.ready();
await send({ answer: 'ready', device: tf.getBackend(), tensorflow: tf.version['tfjs-node'] ?? '' });
