import { once } from 'node:events';
import { Redis } from 'ioredis';
import type OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type RunningService, refusal, runService } from '../running-service.ts';
import { echoingWorker } from './echoing-worker.ts';

let service: RunningService;
let client: OpenAI;
const workers: ReturnType<typeof echoingWorker>[] = [];

/** A live worker that has graft-tiny. */
async function worker(id: string, echo: Parameters<typeof echoingWorker>[2] = {}) {
  await service.services.models.announce({ id, hostname: 'here', device: 'CPU' }, [
    { id: 'graft-tiny', family: 'llama', parameters: 4_000_000, sizeBytes: 8_000_000, revision: null },
  ]);
  const started = echoingWorker(service.services, id, echo);
  workers.push(started);
  const redis = redisOf(service);
  await vi.waitFor(async () => expect(await redis.exists(`graft:chat:status:${id}`)).toBe(1), 10_000);
  redis.disconnect();
  return started;
}

const redisOf = ({ services: { urls } }: RunningService) => new Redis(urls.redis);

beforeAll(async () => {
  service = await runService();
  ({ client } = service);
});
afterEach(async () => {
  for (const one of workers.splice(0)) await one.close();
});
afterAll(() => service?.close());

const asked = { model: 'graft-tiny', messages: [{ role: 'user' as const, content: 'Where?' }] };
const forEver = () => new Promise<void>(() => {});

/** The error with which a stream ends. @param afterFirst called once the first piece has come */
async function cutOff(afterFirst: () => unknown): Promise<{ code?: string | null }> {
  const stream = await client.chat.completions.create({ ...asked, stream: true });
  let hasBegun = false;
  try {
    for await (const { choices } of stream) {
      if (hasBegun || !choices[0]?.delta.content) continue;
      hasBegun = true;
      await afterFirst();
    }
  } catch (error) {
    return error as { code: string };
  }
  throw new Error('the stream ended as if it were whole');
}

describe('without a worker', () => {
  it('a request gets 503 and is told when to ask again', async () => {
    const response = await service.post('/v1/chat/completions', asked);
    expect(refusal(response)).toMatchObject({ status: 503, code: 'no_worker' });
    expect(response.headers['retry-after']).toBe('2');
  });
});

describe('an answer that is being written', () => {
  it('ends with an error when its worker goes away', async () => {
    const it = await worker('leaves', { pieces: ['a', 'b'], pause: forEver });
    expect(await cutOff(() => it.close())).toMatchObject({ code: 'generation_lost' });
  });

  it('ends with an error when Redis drops its connections', async () => {
    await worker('cut', { pieces: ['a', 'b'], pause: forEver });
    const redis = redisOf(service);
    expect(await cutOff(() => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'))).toMatchObject({ code: 'generation_lost' });
    redis.disconnect();
    await vi.waitFor(async () => expect(refusal(await service.post('/v1/completions', { model: 'graft-tiny', prompt: 7 })).status).toBe(400), 10_000);
  });

  it('is cancelled when its client goes away', async () => {
    let cancelled: Promise<unknown> | null = null;
    const pause = (signal: AbortSignal) => {
      cancelled = once(signal, 'abort');
      return forEver();
    };
    await worker('cancelled', { pieces: ['a', 'b'], pause });
    const stream = await client.chat.completions.create({ ...asked, stream: true });
    for await (const { choices } of stream) if (choices[0]?.delta.content) break;
    await cancelled;
  });

  it('ends with an error event in the form of the Responses API', async () => {
    const it = await worker('leaves too', { pieces: ['a', 'b'], pause: forEver });
    const stream = await client.responses.create({ model: 'graft-tiny', input: 'Where?', stream: true });
    const types: string[] = [];
    const read = async () => {
      for await (const event of stream) {
        types.push(event.type);
        if (event.type === 'response.output_text.delta') await it.close();
      }
    };
    await expect(read()).rejects.toMatchObject({ code: 'generation_lost' });
    expect(types.slice(0, 4)).toEqual(['response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added']);
  });
});

describe('several workers', () => {
  const answersOf = async () => (await client.chat.completions.create(asked)).choices[0]!.message.content;

  it('are asked in the order in which they can answer: model in memory, then fewer requests', async () => {
    await worker('idle', { pieces: ['idle'] });
    await worker('warm', { pieces: ['warm'], status: { warm: ['graft-tiny@local'], requests: 7 } });
    expect(await answersOf()).toBe('warm');
  });

  it('take over from one that has too much to do, and when all have, the request gets 429', async () => {
    const busy = async (_: unknown, reply: (answer: never) => void) =>
      reply({ kind: 'failed', error: { code: 'generation_busy', message: 'too much', param: null, hint: null } } as never);
    await worker('busy', { generate: busy, status: { warm: ['graft-tiny@local'] } });
    const response = await service.post('/v1/chat/completions', asked);
    expect(refusal(response)).toMatchObject({ status: 429, code: 'generation_busy' });
    expect(response.headers['retry-after']).toBe('2');
    await worker('free', { pieces: ['free'] });
    expect(await answersOf()).toBe('free');
  });
});

describe('calls of tools', () => {
  const tools = [{ type: 'function' as const, function: { name: 'weather', parameters: { type: 'object' } } }];
  const pieces = [
    'Let me look.',
    '\n<tool',
    '_call>\n{"name": "weather", ',
    '"arguments": {"city": "Paris"}}\n</tool_call>',
    '\n<tool_call>nothing</tool_call>',
  ];
  const call = { type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } };

  it('are told apart from text where the template writes them plainly, at once and piece by piece', async () => {
    await worker('calls', { pieces, toolFormat: 'hermes' });
    const whole = await client.chat.completions.create({ ...asked, tools });
    const expected = { content: 'Let me look.\n\n<tool_call>nothing</tool_call>', tool_calls: [call] };
    expect(whole.choices).toMatchObject([{ finish_reason: 'tool_calls', message: expected }]);
    const streamed = await client.chat.completions.stream({ ...asked, tools }).finalChatCompletion();
    expect(streamed.choices).toMatchObject([{ finish_reason: 'tool_calls', message: expected }]);
    const { output } = await client.responses
      .stream({ model: 'graft-tiny', input: 'Where?', tools: [{ type: 'function', strict: false, ...tools[0]!.function }] })
      .finalResponse();
    expect(output).toMatchObject([
      { type: 'message' },
      { type: 'function_call', name: 'weather', arguments: '{"city":"Paris"}' },
      { type: 'message' },
    ]);
  });

  it('stay text where the template does not say how they are written', async () => {
    await worker('texts', { pieces });
    expect((await client.chat.completions.create({ ...asked, tools })).choices[0]!.message).toMatchObject({ content: pieces.join('') });
  });
});
