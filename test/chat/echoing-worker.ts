import { serveChat } from '../../src/chat/queue.ts';
import type { Services } from '../../src/services.ts';

/** A worker that answers every request with the same word, for tests of what needs no model. It must have announced its models. */
export function echoingWorker({ urls }: Services, id: string): { close(): Promise<void> } {
  return serveChat(urls.redis, id, {
    status: () => ({ warm: [], requests: 0, capacity: 100 }),
    onError: () => {},
    async generate({ prompts, answers }, reply) {
      reply({ kind: 'started', promptTokens: prompts.map(() => 3), toolFormat: null });
      for (let index = 0; index < prompts.length * answers; index++) {
        reply({ kind: 'piece', index, text: 'Paris', tokens: 1, logprobs: [] });
        reply({ kind: 'finished', index, reason: 'stop', tokens: 1 });
      }
      reply({ kind: 'done' });
    },
  });
}
