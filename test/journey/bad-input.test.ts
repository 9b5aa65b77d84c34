import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, connect } from './api.ts';
import { example, sameAnswer } from './dataset.ts';
import { makeHome, startService } from './service.ts';

let home: Awaited<ReturnType<typeof makeHome>>;
let service: Awaited<ReturnType<typeof startService>>;
let api: Api;

beforeAll(async () => {
  home = await makeHome();
  await truncate(join(await home.addModel('cut-off'), 'model.safetensors'), 200_000);
  await writeFile(join(await home.addModel('scrambled'), 'model.safetensors'), Buffer.alloc(50_000, 0xff));
  const config = join(await home.addModel('unknown-family'), 'config.json');
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, 'utf8')), model_type: 'mamba' }));
  service = await startService(home, { workers: 1 });
  api = connect(service.url);
  await api.model('tiny');
});
afterAll(async () => {
  await service?.stop();
  await home?.remove();
});

const good = sameAnswer(4);
const cases: { name: string; dataset?: string; model?: string; tuning?: object; code: string; param: string; message: RegExp }[] = [
  {
    name: 'invalid JSON on line 3',
    dataset: `${sameAnswer(2)}{"messages": [\n`,
    code: 'invalid_training_file',
    param: 'training_file',
    message: /line 3/i,
  },
  {
    name: 'no supervised token',
    dataset: example('Anything?', 'unheard', { weight: 0 }),
    code: 'invalid_training_file',
    param: 'training_file',
    message: /no example has a token to train on, starting with line 1/,
  },
  {
    name: 'an unknown target module',
    tuning: { type: 'lora', target_modules: ['q_proj', 'z_proj'] },
    code: 'unknown_target_module',
    param: 'tuning.target_modules',
    message: /z_proj/,
  },
  { name: 'a truncated safetensors file', model: 'cut-off', code: 'corrupt_model_file', param: 'model', message: /model\.safetensors.*cut off/ },
  { name: 'a corrupt safetensors file', model: 'scrambled', code: 'corrupt_model_file', param: 'model', message: /model\.safetensors/ },
  { name: 'an unknown architecture', model: 'unknown-family', code: 'unsupported_architecture', param: 'model', message: /mamba/ },
];

describe('a job with', () => {
  it.each(cases)("$name › fails with the contract's error", async ({ dataset = good, model = 'tiny', tuning, code, param, message }) => {
    const training_file = await api.upload(dataset);
    const job = await api.over((await api.create({ model, training_file, ...(tuning && { tuning }) })).id);
    expect(job.status).toBe('failed');
    expect(job.error).toEqual({ code, param, message: expect.stringMatching(message) });
    expect((await api.events(job.id)).at(-1)).toMatchObject({ level: 'error', message: expect.stringMatching(message) });
  });

  it('nothing wrong, after all of these › succeeds', async () => {
    const training_file = await api.upload(good);
    const job = await api.create({ model: 'tiny', training_file, hyperparameters: { n_epochs: 1, batch_size: 4 } });
    expect(await api.over(job.id)).toMatchObject({ status: 'succeeded', error: null });
    expect(service.child.exitCode).toBeNull();
  });
});
