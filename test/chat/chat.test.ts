import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { referenceBatch, referencePath, referenceTensors } from '../../reference/fixtures.ts';
import { fineTunedModelName } from '../../src/ids.ts';
import type { RunningWorker } from '../../workers/worker.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';
import { startWorkerWithoutTraining } from '../worker-without-training.ts';
import { jobWithCheckpoint, tunedModel } from './tuned-models.ts';

const CASE = 'llama-gqa-tied';
const modelDir = referencePath('cases', CASE, 'model');
const adapterDir = referencePath('cases', CASE, 'adapters', 'all-linear', 'adapter');

let service: RunningService;
let worker: RunningWorker;
let modelsDir: string;

beforeAll(async () => {
  modelsDir = await mkdtemp(join(tmpdir(), 'graft-chat-'));
  await cp(modelDir, join(modelsDir, 'tiny'), { recursive: true });
  service = await runService({ CHAT_NICE: '0', CHAT_MAX_TOKENS: '400', MODELS_DIR: modelsDir });
  worker = await startWorkerWithoutTraining(service.services);
});
afterAll(async () => {
  await worker?.stop();
  await service?.close();
  await rm(modelsDir, { recursive: true, force: true });
});

const asked = { model: 'graft-tiny', messages: [{ role: 'user' as const, content: 'What is the capital of France?' }], temperature: 0 };

/** What transformers and PEFT give for the next token after a row of the fixture. */
function reference(...logitsOf: string[]): { prompt: number[]; best: number; logprob: number } {
  const { length, inputIds } = referenceBatch(CASE);
  const all = referenceTensors('cases', CASE, ...logitsOf, 'logits.safetensors').get('logits')!;
  const vocabulary = all.length / inputIds.length;
  const logits = [...all.subarray((length - 1) * vocabulary, length * vocabulary)];
  const best = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - best), 0);
  return { prompt: [...inputIds.subarray(0, length)], best: logits.indexOf(best), logprob: -Math.log(sum) };
}

/** The same, as the service has it. */
async function nextToken(model: string, prompt: number[]): Promise<number> {
  const answer = await service.client.completions.create({ model, prompt, max_tokens: 1, temperature: 0, logprobs: 1 });
  return answer.choices[0]!.logprobs!.token_logprobs![0]!;
}

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

  it('answers in the form of the Responses API, at once and event by event', async () => {
    const body = { model: 'graft-tiny', input: asked.messages[0]!.content, temperature: 0 };
    const { output_text: text, usage } = await service.client.responses.create(body);
    expect(text).toBe('The capital of France is Paris.');
    const streamed = await service.client.responses.stream(body).finalResponse();
    expect(streamed).toMatchObject({ output_text: text, usage, status: 'completed' });
    const cut = await service.client.responses.create({ ...body, max_output_tokens: 2 });
    expect(cut).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, usage: { output_tokens: 2 } });
  });

  it('gives the probabilities that transformers gives', async () => {
    const { prompt, logprob } = reference();
    expect(await nextToken('tiny', prompt)).toBeCloseTo(logprob, 4);
  });

  it('obeys n, seed, stop, logit_bias and logprobs', async () => {
    const warm = { ...asked, temperature: 1.5, seed: 5, n: 3, max_tokens: 8 };
    const texts = async (body: object) =>
      (await service.client.chat.completions.create({ ...warm, ...body })).choices.map(({ message }) => message.content);
    const three = await texts({});
    expect(new Set(three).size).toBeGreaterThan(1);
    expect(await texts({})).toEqual(three);
    expect(await texts({ temperature: 0, n: 1, stop: [' of'] })).toEqual(['The capital']);
    const { choices } = await service.client.chat.completions.create({ ...asked, logprobs: true, top_logprobs: 2, max_tokens: 2 });
    const [first] = choices[0]!.logprobs!.content!;
    expect(first).toMatchObject({ token: 'The', bytes: [84, 104, 101], top_logprobs: [{ token: 'The' }, {}] });
    const { best } = reference();
    const biased = { model: 'tiny', prompt: reference().prompt, max_tokens: 1, temperature: 0 };
    const plain = (await service.client.completions.create(biased)).choices[0]!.text;
    expect((await service.client.completions.create({ ...biased, logit_bias: { [best]: -100 } })).choices[0]!.text).not.toBe(plain);
  });
});

describe('a tuned model', () => {
  const tuning = { type: 'lora', r: 8 } as const;

  it('answers with its adapter, delivered or as a checkpoint, beside its base', async () => {
    const expected = reference('adapters', 'all-linear');
    const base = reference();
    expect(expected.logprob).not.toBeCloseTo(base.logprob, 3);
    const delivered = await tunedModel(service.services, adapterDir, { model: 'tiny', tuning });
    const models = [delivered, `${delivered}:ckpt-step-5`, 'tiny'];
    const logprobs = await Promise.all(models.map((model) => nextToken(model, expected.prompt)));
    expect(logprobs).toEqual([expected, expected, base].map(({ logprob }) => expect.closeTo(logprob, 4)));
  });

  it('answers with its newest checkpoint while its job runs', async () => {
    const { job } = await jobWithCheckpoint(service.services, adapterDir, { model: 'tiny', tuning });
    const { prompt, logprob } = reference('adapters', 'all-linear');
    expect(await nextToken(fineTunedModelName(job), prompt)).toBeCloseTo(logprob, 4);
  });

  it('that was tuned in full answers with its own weights', async () => {
    const model = await tunedModel(service.services, modelDir, { model: 'graft-tiny', tuning: { type: 'full' } });
    const { prompt, logprob } = reference();
    expect(await nextToken(model, prompt)).toBeCloseTo(logprob, 4);
  });

  it('whose files are damaged in storage is refused, and named', async () => {
    const { checkpoint } = await jobWithCheckpoint(service.services, adapterDir, { model: 'tiny', tuning });
    const { jobRecord, objectStore } = service.services;
    const { folder } = (await jobRecord.findCheckpoint('graft', checkpoint))!;
    await objectStore.put(`${folder}adapter/adapter_config.json`, '{}');
    const response = await service.post('/v1/chat/completions', { ...asked, model: checkpoint });
    expect(refusal(response)).toMatchObject({ status: 400, code: 'corrupt_model_file', message: expect.stringContaining(checkpoint) });
  });
});

describe('JSON', () => {
  const schema = {
    type: 'object',
    properties: { city: { enum: ['Paris', 'Berlin'] }, is_capital: { type: 'boolean' } },
    required: ['city', 'is_capital'],
    additionalProperties: false,
  };
  const conforming = { city: expect.stringMatching(/^(Paris|Berlin)$/), is_capital: expect.any(Boolean) };

  it('conforms to the schema that a request has, whole and piece by piece, as answers beside it do not', async () => {
    const { client } = service;
    const format = { type: 'json_schema' as const, json_schema: { name: 'capital', strict: true, schema } };
    const [free, whole, streamed, random, response] = await Promise.all([
      client.chat.completions.create(asked),
      client.chat.completions.create({ ...asked, response_format: format }),
      client.chat.completions.stream({ ...asked, response_format: format }).finalContent(),
      client.chat.completions.create({ ...asked, temperature: 0.7, seed: 1, n: 3, response_format: format }),
      client.responses.create({ model: 'graft-tiny', input: 'Paris?', text: { format: { type: 'json_schema', name: 'a', schema } } }),
    ]);
    expect(free.choices[0]!.message.content).toBe('The capital of France is Paris.');
    expect(JSON.parse(whole.choices[0]!.message.content!)).toEqual(conforming);
    expect(whole.choices[0]!.finish_reason).toBe('stop');
    expect(streamed).toBe(whole.choices[0]!.message.content);
    for (const { message } of random.choices) expect(JSON.parse(message.content!)).toEqual(conforming);
    expect(JSON.parse(response.output_text)).toEqual(conforming);
    expect(response.text?.format).toEqual({ type: 'json_schema', name: 'a', schema });
  });

  it('is any object in JSON mode, and cut where the answer is', async () => {
    const object = { ...asked, response_format: { type: 'json_object' as const } };
    const [cut] = (await service.client.chat.completions.create({ ...object, max_tokens: 2 })).choices;
    expect([cut!.message.content![0], cut!.finish_reason]).toEqual(['{', 'length']);
  });
});

describe('a request', () => {
  it('that cannot be answered says why', async () => {
    const refused = async (body: object) => refusal(await service.post('/v1/chat/completions', { ...asked, model: 'tiny', ...body }));
    expect(await refused({ model: 'nothing' })).toMatchObject({ status: 404, code: 'model_not_found' });
    const long = [{ role: 'user', content: 'word '.repeat(500) }];
    expect(await refused({ messages: long })).toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'messages' });
    expect(await refused({ max_tokens: 401 })).toMatchObject({ status: 400, param: 'max_tokens', message: expect.stringContaining('at most 400') });
    expect(await refused({ frequency_penalty: 1 })).toMatchObject({ status: 400, param: 'frequency_penalty' });
    expect(await refused({ reasoning_effort: 'low' })).toMatchObject({ status: 400, param: 'reasoning_effort' });
    const format = (schema: object, strict = false) => ({ response_format: { type: 'json_schema', json_schema: { name: 'a', schema, strict } } });
    const place = 'response_format.json_schema.schema';
    const bounded = { type: 'object', properties: { age: { type: 'integer', minimum: 0 } }, required: ['age'] };
    expect(await refused(format(bounded))).toMatchObject({
      status: 400,
      param: `${place}.properties.age`,
      message: expect.stringContaining('"minimum"'),
    });
    expect(await refused(format({ type: 'object', properties: { a: { type: 'null' } } }, true))).toMatchObject({
      status: 400,
      param: `${place}.required`,
    });
    const endless = { type: 'object', properties: { a: { $ref: '#/$defs/b' } }, $defs: { b: { anyOf: [{ $ref: '#/$defs/b' }] } } };
    expect(await refused(format(endless))).toMatchObject({ status: 400, param: `${place}.properties.a.$ref` });
    const quoted = { type: 'object', properties: { 'a"b': { type: 'null' } } };
    expect(await refused(format(quoted))).toMatchObject({ status: 400, param: `${place}.properties` });
    const tools = [{ type: 'function', function: { name: 'a' } }];
    expect(await refused({ response_format: { type: 'json_object' }, tools })).toMatchObject({ status: 400, param: 'response_format' });
    expect(await refused({ tool_choice: 'required' })).toMatchObject({ status: 400, param: 'tool_choice' });
    expect(await refused({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] })).toMatchObject({ status: 400 });
  });

  it('whose process is killed fails with 503, and the next one has a new process', async () => {
    // Long answers, and many of them: none may be whole before the process is killed.
    const long = { ...asked, n: 16, max_tokens: 400, logit_bias: WITHOUT_END };
    const stream = await service.client.chat.completions.create({ ...long, stream: true });
    const [pid] = inferencePids();
    const read = async () => {
      let hasBegun = false;
      for await (const { choices } of stream) {
        if (!hasBegun && choices[0]?.delta.content) process.kill(pid!, 'SIGKILL');
        hasBegun ||= Boolean(choices[0]?.delta.content);
      }
    };
    await expect(read()).rejects.toMatchObject({ code: 'generation_lost' });
    expect((await service.client.chat.completions.create(asked)).choices).toHaveLength(1);
  });
});

describe('a job that begins', () => {
  it('has the memory of models that nobody asks', async () => {
    expect(inferencePids()).toHaveLength(1);
    const training_file = await service.upload();
    const response = await service.post('/v1/fine_tuning/jobs', { model: 'tiny', training_file });
    expect(response.statusCode).toBe(200);
    await vi.waitFor(() => expect(inferencePids()).toEqual([]), 60_000);
  });
});

/** Keeps graft-tiny from ending an answer: its config names two tokens for that. */
const WITHOUT_END = { 0: -100, 2: -100 };

/** The inference processes of this test. */
function inferencePids(): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid,ppid,args'], { encoding: 'utf8' }).split('\n');
  const ours = lines.filter((line) => line.includes('inference/program.') && Number(line.trim().split(/\s+/)[1]) === process.pid);
  return ours.map((line) => Number(line.trim().split(/\s+/)[0]));
}
