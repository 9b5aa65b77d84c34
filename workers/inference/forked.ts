/** An inference process as the worker sees it. */
import { fileURLToPath } from 'node:url';
import type { Answer } from '../../src/chat/messages.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { type ChildOptions, forkChild } from '../process/child.ts';
import type { Command, InferenceLimits, LocalGeneration, Message } from './messages.ts';

const PROGRAM = fileURLToPath(new URL('program.ts', import.meta.url));

export interface InferenceProcess {
  readonly pid: number | undefined;
  /** Base models in memory, and what all models take. */
  holds(): { keys: readonly string[]; bytes: number };
  /**
   * Calls `reply` with each answer; the last is `done` or `failed`. Aborting the signal ends it.
   * @throws Refusal when the process ends before that; the signal's reason
   */
  generate(generation: LocalGeneration, reply: (answer: Answer) => void, signal: AbortSignal): Promise<void>;
  isGone(): boolean;
  /** Kills it. Resolves when it has exited. */
  kill(): Promise<void>;
}

interface InferenceOptions extends ChildOptions {
  limits: InferenceLimits;
  /** Called when a model has come or gone, and when the process has ended. */
  onChange(): void;
}

export function forkInference({ limits, onChange, ...options }: InferenceOptions): InferenceProcess {
  const child = forkChild(PROGRAM, [JSON.stringify(limits)], options);
  const waiting = new Map<string, { reply(answer: Answer): void; end(error?: Error): void }>();
  let holds: { keys: readonly string[]; bytes: number } = { keys: [], bytes: 0 };

  child.process.on('message', (message: Message) => {
    if ('holds' in message) {
      holds = message.holds;
      onChange();
      return;
    }
    const one = waiting.get(message.id);
    if (one === undefined) return;
    one.reply(message.answer);
    if (message.answer.kind === 'done' || message.answer.kind === 'failed') one.end();
  });
  void child.gone.then((how) => {
    holds = { keys: [], bytes: 0 };
    const error = new Refusal('generation_lost', `The process that generated the answer ended (${how})`, {
      hint: 'Send the request again: what was generated so far is not kept.',
    });
    for (const { end } of waiting.values()) end(error);
    onChange();
  });

  const send = (command: Command) => child.send(command);
  return {
    pid: child.process.pid,
    holds: () => holds,
    async generate(generation, reply, signal) {
      const { id } = generation;
      signal.throwIfAborted();
      const cancel = () => {
        send({ command: 'cancel', id });
        waiting.get(id)?.end(signal.reason as Error);
      };
      signal.addEventListener('abort', cancel);
      try {
        await new Promise<void>((resolve, reject) => {
          waiting.set(id, { reply, end: (error) => (error === undefined ? resolve() : reject(error)) });
          if (child.isGone()) waiting.get(id)!.end(new Refusal('generation_lost', 'The process that generates answers has just ended'));
          else send({ command: 'generate', generation });
        });
      } finally {
        signal.removeEventListener('abort', cancel);
        waiting.delete(id);
      }
    },
    isGone: child.isGone,
    kill: child.kill,
  };
}
