import type { Generation, ServingStatus, ToolFormat } from '../../src/chat/messages.ts';
import { type Reply, serveChat } from '../../src/chat/queue.ts';
import type { Services } from '../../src/services.ts';

interface Echo {
  /** What it says, piece by piece; default: `Paris`. */
  pieces?: readonly string[];
  toolFormat?: ToolFormat;
  /** Between the first piece and the rest. */
  pause?(signal: AbortSignal): Promise<void>;
  /** Answers in its place. */
  generate?(generation: Generation, reply: Reply): Promise<void>;
  status?: Partial<ServingStatus>;
}

/** A worker that answers every request with the same words, for tests of what needs no model. It must have announced its models. */
export function echoingWorker({ urls }: Services, id: string, { pieces = ['Paris'], toolFormat = null, pause, generate, status = {} }: Echo = {}) {
  return serveChat(urls.redis, id, {
    status: () => ({ warm: [], requests: 0, capacity: 100, ...status }),
    onError: () => {},
    async generate(generation, reply, signal) {
      if (generate !== undefined) return generate(generation, reply);
      const { prompts, answers } = generation;
      reply({ kind: 'started', promptTokens: prompts.map(() => 3), toolFormat });
      for (let index = 0; index < prompts.length * answers; index++) {
        for (const [at, text] of pieces.entries()) {
          reply({ kind: 'piece', index, text, tokens: 1, logprobs: [] });
          if (at === 0) await pause?.(signal);
        }
        reply({ kind: 'finished', index, reason: 'stop', tokens: pieces.length });
      }
      reply({ kind: 'done' });
    },
  });
}
