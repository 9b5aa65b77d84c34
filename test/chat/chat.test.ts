import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainingEnvironment } from '../../src/config.ts';
import type { ForkedTraining } from '../../workers/process/forked.ts';
import { type RunningWorker, startWorker } from '../../workers/worker.ts';
import { type RunningService, runService } from '../running-service.ts';

let service: RunningService;
let worker: RunningWorker;

/** Nothing is trained here. */
const noTraining = () => ({ kill: async () => {}, isGone: () => false, output: () => '' }) as unknown as ForkedTraining;

beforeAll(async () => {
  service = await runService({ CHAT_NICE: '0' });
  worker = await startWorker(service.services, { devices: [null], trainingEnvironment: trainingEnvironment(), fork: noTraining });
});
afterAll(async () => {
  await worker?.stop();
  await service?.close();
});

const asked = { model: 'graft-tiny', messages: [{ role: 'user' as const, content: 'What is the capital of France?' }], temperature: 0 };

describe('a base model', () => {
  it('answers a conversation, at once and piece by piece', async () => {
    const { choices, usage } = await service.client.chat.completions.create(asked);
    expect(choices).toMatchObject([{ message: { role: 'assistant', content: 'The capital of France is Paris.' }, finish_reason: 'stop' }]);
    const pieces: string[] = [];
    const stream = service.client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
    stream.on('content', (piece) => pieces.push(piece));
    const streamed = await stream.finalChatCompletion();
    expect(pieces.length).toBeGreaterThan(3);
    expect(streamed.choices[0]!.message.content).toBe(choices[0]!.message.content);
    expect(streamed.usage).toEqual(usage);
  });

  it('continues a text', async () => {
    const { choices } = await service.client.completions.create({ model: 'graft-tiny', prompt: 'The capital of', max_tokens: 2, temperature: 0 });
    expect(choices).toMatchObject([{ index: 0, finish_reason: 'length', text: expect.stringMatching(/./) }]);
  });

  it('answers in the form of the Responses API, at once and event by event', async () => {
    const body = { model: 'graft-tiny', input: asked.messages[0]!.content, temperature: 0 };
    const { output_text: text, usage } = await service.client.responses.create(body);
    expect(text).toBe('The capital of France is Paris.');
    const streamed = await service.client.responses.stream(body).finalResponse();
    expect(streamed).toMatchObject({ output_text: text, usage, status: 'completed' });
  });
});
