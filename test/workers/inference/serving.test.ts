import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Answer, Generation } from '../../../src/chat/messages.ts';
import { openServing, type ServingOptions } from '../../../workers/inference/serving.ts';

const generation = { id: 'chatcmpl-1', model: { name: 'tiny' }, prompts: [], answers: 1 } as unknown as Generation;

/** A worker's answers as the API reads them: JSON. */
async function answersOf(chat: Partial<ServingOptions['services']['config']['chat']>): Promise<Answer[]> {
  const { generate } = openServing({
    services: { config: { chat: { requests: 1, ...chat } } },
    workDir: '/nonexistent',
    onChange: () => {},
    log: pino({ level: 'silent' }),
  } as unknown as ServingOptions);
  const answers: Answer[] = [];
  await generate(generation, (answer) => answers.push(JSON.parse(JSON.stringify(answer)) as Answer), new AbortController().signal);
  return answers;
}

describe('a worker that has as many requests as it takes', () => {
  it('refuses another one, and says why', async () => {
    const message = 'The worker has 0 requests, which is the most that it takes at once';
    expect(await answersOf({ requests: 0 })).toEqual([
      { kind: 'failed', error: { code: 'generation_busy', message, param: null, hint: 'Ask again in a few seconds.' } },
    ]);
  });
});
