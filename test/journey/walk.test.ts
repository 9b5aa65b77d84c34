import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseHeader, parseHeaderLength } from '../../src/formats/safetensors.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import { unpackTar } from '../unpack-tar.ts';
import { type Api, connect, type JobObject } from './api.ts';
import { distilled, labelled, pairs, sameAnswer } from './dataset.ts';
import { JOURNEY_KEY, makeHome, startService, until } from './service.ts';

let home: Awaited<ReturnType<typeof makeHome>>;
let service: Awaited<ReturnType<typeof startService>>;
let api: Api;

beforeAll(async () => {
  home = await makeHome();
  service = await startService(home, { workers: 1 });
  api = connect(service.url);
  await api.model('tiny');
});
afterAll(async () => {
  await service?.stop();
  await home?.remove();
});

/** Whether each tensor has a non-zero value. */
function nonZeroTensors(file: Buffer): Map<string, boolean> {
  const length = parseHeaderLength(file.subarray(0, 8), file.length, 'file');
  const { tensors } = parseHeader(file.subarray(8, 8 + length), file.length, 'file');
  return new Map([...tensors].map(([name, { offset, byteLength }]) => [name, file.subarray(offset, offset + byteLength).some((byte) => byte !== 0)]));
}

const hyperparameters = { n_epochs: 2, batch_size: 4, learning_rate: 5e-3, eval_steps: 2 };

describe('a LoRA job over HTTP', () => {
  let job: JobObject;
  beforeAll(async () => {
    const [training_file, validation_file] = [await api.upload(sameAnswer(16)), await api.upload(sameAnswer(6, 100))];
    const body = { model: 'tiny', training_file, validation_file, seed: 7, suffix: 'walk', hyperparameters, tuning: { type: 'lora', r: 4 } };
    const created = await api.create(body);
    expect(created.status).toBe('validating_files');
    job = await api.over(created.id);
  });

  it('succeeds, with a model name and every choice resolved', () => {
    expect(job.error).toBeNull();
    expect(job.status).toBe('succeeded');
    expect(job.fine_tuned_model).toMatch(/^ft:tiny:[^:]+:walk:.+/);
    expect(job.trained_tokens).toBeGreaterThan(0);
    expect(job.hyperparameters).toMatchObject({ n_epochs: 2, batch_size: 4, learning_rate: 5e-3, max_length: 128 });
  });

  it('reports what happened, in order, with the metrics of every step', async () => {
    // The last events come a moment after the status.
    const events = await until('the last event', async () => {
      const all = await api.events(job.id);
      return /successfully completed$/.test(all.at(-1)!.message) && all;
    });
    const messages = events.map(({ message }) => message).join('\n');
    expect(messages).toMatch(
      /The training file has 16 examples, [\d,]+ tokens.*\n(.*\n)*.*The validation file has 6 examples.*\n(.*\n)*Fine-tuning job started/,
    );
    expect(messages).toMatch(/read back and proven.*\nNew fine-tuned model created.*\n.*successfully completed$/);
    const metrics = events.filter(({ type }) => type === 'metrics').map(({ data }) => data!);
    expect(metrics.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    for (const data of metrics)
      expect(data).toMatchObject({ total_steps: 8, train_loss: expect.any(Number), train_mean_token_accuracy: expect.any(Number) });
    expect(metrics[1]).toMatchObject({ valid_loss: expect.any(Number), valid_mean_token_accuracy: expect.any(Number) });
    expect(metrics[7]).toMatchObject({ full_valid_loss: expect.any(Number), full_valid_mean_token_accuracy: expect.any(Number) });
  });

  it('has a checkpoint per epoch and a validation loss that falls', async () => {
    const checkpoints = await api.checkpoints(job.id);
    expect(checkpoints.map(({ step_number }) => step_number)).toEqual([8, 4]);
    expect(checkpoints[0]!.fine_tuned_model_checkpoint).toBe(`${job.fine_tuned_model}:ckpt-step-8`);
    const [last, first] = checkpoints.map(({ metrics }) => metrics['full_valid_loss']!);
    expect(last).toBeLessThan(first!);
  });

  it('lists the results and the adapter as downloadable files', async () => {
    const files = await Promise.all(job.result_files.map(api.file));
    expect(files.map(({ filename }) => filename)).toEqual([
      'step_metrics.csv',
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
      'graft_manifest.json',
    ]);
    expect(files.every(({ purpose }) => purpose === 'fine-tune-results')).toBe(true);
    const csv = (await api.content(job.result_files[0]!)).toString().trim().split('\n');
    const others =
      'epoch,full_valid_loss,full_valid_mean_token_accuracy,grad_norm,learning_rate,memory_bytes,peak_memory_bytes,seconds,supervised_tokens,tokens';
    expect(csv[0]).toBe(`step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy,${others}`);
    expect(csv).toHaveLength(9);
    expect(csv[1]).toMatch(/^1,\d+\.\d+,\d[\d.]*,,,0\.25,,,\d/);
    expect(csv[2]).toMatch(/^2,\d+\.\d+,\d[\d.]*,\d+\.\d+,\d[\d.]*,0\.5,,,\d/);
  });

  it('delivers an adapter in which every B has moved from zero', async () => {
    const adapter = await api.adapter(job.id);
    expect([...adapter.keys()].sort()).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors', 'graft_manifest.json']);
    expect(JSON.parse(adapter.get('adapter_config.json')!.toString())).toMatchObject({ peft_type: 'LORA', r: 4, base_model_name_or_path: 'tiny' });
    const tensors = nonZeroTensors(adapter.get('adapter_model.safetensors')!);
    const B = [...tensors].filter(([name]) => name.includes('lora_B'));
    expect(B.length).toBeGreaterThan(0);
    expect(B.filter(([, isNonZero]) => !isNonZero)).toEqual([]);
    expect(await api.content(job.result_files[3]!)).toEqual(adapter.get('adapter_model.safetensors'));
  });
});

describe('a full fine-tuning job over HTTP', () => {
  it('delivers a model directory as a tar', async () => {
    const training_file = await api.upload(sameAnswer(8));
    const body = { model: 'tiny', training_file, hyperparameters: { n_epochs: 1, batch_size: 4 }, tuning: { type: 'full' } };
    const job = await api.over((await api.create(body)).id);
    expect(job).toMatchObject({ status: 'succeeded', error: null });
    const files = await api.adapter(job.id);
    expect([...files.keys()]).toEqual(expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json', 'chat_template.jinja']));
    expect(nonZeroTensors(files.get('model.safetensors')!).size).toBeGreaterThan(10);
  });
});

describe("jobs by other methods, by OpenAI's client", () => {
  const client = () => new OpenAI({ baseURL: service.url, apiKey: JOURNEY_KEY });
  const upload = async (content: string) => (await client().files.create({ file: new File([content], 'pairs.jsonl'), purpose: 'fine-tune' })).id;

  it("with DPO › show beta where OpenAI's do, report under TRL's names, and deliver an adapter", async () => {
    const openai = client();
    const body = {
      model: 'tiny',
      training_file: await upload(pairs(16)),
      validation_file: await upload(pairs(6, 100)),
      seed: 7,
      method: { type: 'dpo' as const, dpo: { hyperparameters: { beta: 0.2, n_epochs: 2, batch_size: 4, learning_rate_multiplier: 500 } } },
    };
    const created = await openai.fineTuning.jobs.create(body);
    expect(created.method).toMatchObject({ type: 'dpo', dpo: { hyperparameters: { beta: 0.2, batch_size: 4 } } });
    expect(await api.over(created.id)).toMatchObject({ status: 'succeeded', error: null });
    const job = await openai.fineTuning.jobs.retrieve(created.id);
    expect(job.method).toMatchObject({ type: 'dpo', dpo: { hyperparameters: { beta: 0.2, loss_type: 'sigmoid', learning_rate: 0.005 } } });
    const { metrics } = (await openai.fineTuning.jobs.checkpoints.list(created.id)).data[0]!;
    expect(metrics).toMatchObject({ 'full_valid_rewards/accuracies': 1, 'train_rewards/margins': expect.any(Number) });
    expect(metrics.full_valid_loss).toBeLessThan(Math.log(2));
    const csv = (await api.content(job.result_files[0]!)).toString().trim().split('\n');
    expect(csv[0]).toMatch(/^step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy,.*train_rewards\/chosen/);
    const tar = await openai.get(`/fine_tuning/jobs/${created.id}/adapter`, { __binaryResponse: true } as object).asResponse();
    const adapter = await unpackTar(Buffer.from(await tar.arrayBuffer()));
    expect(JSON.parse(adapter.get('adapter_config.json')!.toString())).toMatchObject({ peft_type: 'LORA', r: 16 });
    const proof = await api.report<{ passed: boolean }>(created.id, 'proof');
    expect(proof).toMatchObject({ passed: true, loss: { measured_on: 'validation_file' } });
  });

  it.each([
    ['orpo', pairs(8), { beta: 0.1 }],
    ['simpo', pairs(8), { beta: 2 }],
    ['kto', labelled(8), { beta: 0.1 }],
    ['distillation', distilled(8), { kd_alpha: 0.9, kd_ce_alpha: 0.1, kd_temperature: 1 }],
  ])('with %s › succeed, and show its settings', async (type, data, defaults) => {
    const hyperparameters = { n_epochs: 1, batch_size: 4, learning_rate: 5e-3 };
    const created = await api.create({ model: 'tiny', training_file: await upload(data), method: { type, [type]: { hyperparameters } } });
    const job = await api.over(created.id);
    expect(job).toMatchObject({ status: 'succeeded', error: null, method: { type, [type]: { hyperparameters: defaults } } });
  });

  it('with the log-probabilities that the service itself gives with its answers › distil their model', async () => {
    const model = 'graft-tiny';
    const asked = { model, temperature: 0, max_completion_tokens: 12, logprobs: true, top_logprobs: 5 };
    const lines = await Promise.all(
      ['Hello', 'Count to ten.', 'What is a tree?'].map(async (content) => {
        const user = { role: 'user' as const, content };
        const { choices } = await client().chat.completions.create({ ...asked, messages: [user] });
        const { message, logprobs } = choices[0]!;
        return { messages: [user, { role: message.role, content: message.content, logprobs }] };
      }),
    );
    const training_file = await upload(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const hyperparameters = { n_epochs: 1, batch_size: 3 };
    const created = await api.create({ model, training_file, method: { type: 'distillation', distillation: { hyperparameters } } });
    expect(await api.over(created.id)).toMatchObject({ status: 'succeeded', error: null });
    const tokens = lines.flatMap(({ messages }) => messages.flatMap((message) => ('logprobs' in message ? message.logprobs!.content! : [])));
    const { training } = await api.report<TokenReceipt>(created.id, 'receipt');
    expect(training).toMatchObject({ examples: 3, teacher_tokens: tokens.length });
    // The teacher is the student: they differ by what is beyond the five tokens alone.
    const { data } = (await api.events(created.id)).find(({ type }) => type === 'metrics')!;
    expect(data!['train_kd_loss']).toBeLessThan(data!['train_ce_loss']! / 2);
  });

  it('on a file for another method › are refused with the one to use', async () => {
    const supervised = await api.upload(sameAnswer(8));
    await until('the judgement', async () => (await api.file(supervised)).status === 'processed');
    expect(await api.refused({ model: 'tiny', training_file: supervised, method: { type: 'dpo' } })).toMatchObject({
      code: 'invalid_training_file',
      message: expect.stringMatching(/has supervised examples.*Use the method "supervised"/),
    });
  });
});

describe('the service, started again on the same DATA_DIR', () => {
  it('still has its jobs and accepts new ones', async () => {
    const before = await api.jobs();
    expect(await service.stop()).toBe(0);
    service = await startService(home, { workers: 1 });
    api = connect(service.url);
    expect(await api.jobs()).toEqual(before);
    await api.model('tiny');
    const training_file = await api.upload(sameAnswer(8));
    const body = { model: 'tiny', training_file, hyperparameters: { n_epochs: 1, batch_size: 8 } };
    expect(await api.over((await api.create(body)).id)).toMatchObject({ status: 'succeeded' });
  });
});
