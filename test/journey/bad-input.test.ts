import { mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, connect } from './api.ts';
import { example, sameAnswer } from './dataset.ts';
import { makeHome, startService, until } from './service.ts';

let home: Awaited<ReturnType<typeof makeHome>>;
let service: Awaited<ReturnType<typeof startService>>;
let api: Api;

beforeAll(async () => {
  home = await makeHome();
  await truncate(join(await home.addModel('cut-off'), 'model.safetensors'), 200_000);
  await writeFile(join(await home.addModel('scrambled'), 'model.safetensors'), Buffer.alloc(50_000, 0xff));
  const config = join(await home.addModel('unknown-family'), 'config.json');
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, 'utf8')), model_type: 'mamba' }));
  await writeFile(join(await home.addModel('adapter'), 'adapter_config.json'), '{"base_model_name_or_path": "org/base"}');
  await rm(join(home.modelsDir, 'adapter', 'config.json'));
  const cached = join(home.modelsDir, 'models--org--cached');
  await mkdir(join(cached, 'snapshots'), { recursive: true });
  await mkdir(join(cached, 'refs'));
  await writeFile(join(cached, 'refs', 'main'), COMMIT);
  await rename(await home.addModel('moved'), join(cached, 'snapshots', COMMIT));
  await mkdir(join(home.modelsDir, 'team'));
  await rename(await home.addModel('moved'), join(home.modelsDir, 'team', 'own'));
  service = await startService(home, { workers: 1 });
  api = connect(service.url);
  await api.model('tiny');
});
afterAll(async () => {
  await service?.stop();
  await home?.remove();
});

const COMMIT = 'a'.repeat(40);
const good = sameAnswer(4);
const cases: {
  name: string;
  dataset?: string | Uint8Array<ArrayBuffer>;
  model?: string;
  tuning?: object;
  code: string;
  param: string;
  message: RegExp;
}[] = [
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
    name: 'text that is not JSON and is cut in the middle of an emoji when it is quoted',
    dataset: '{"b":NaN,"c":"😀😀😀😀"}\n',
    code: 'invalid_training_file',
    param: 'training_file',
    message: /line 1 is not valid JSON \(Unexpected token 'N' .*NaN/,
  },
  {
    name: 'NUL bytes at the end',
    dataset: Buffer.concat([Buffer.from(good), Buffer.alloc(64)]),
    code: 'invalid_training_file',
    param: 'training_file',
    message: /line 5 is nothing but 64 NUL bytes\. It was never written completely/,
  },
  {
    name: 'UTF-16 without a byte order mark',
    dataset: Buffer.from(good, 'utf16le'),
    code: 'invalid_training_file',
    param: 'training_file',
    message: /the file is UTF-16 text \(little-endian\)\. Save the file as UTF-8/,
  },
  {
    name: 'half an emoji',
    dataset: `${good}${example('a', 'c \ude00 d')}`,
    code: 'invalid_training_file',
    param: 'training_file',
    message: /line 5, message 2 has half a surrogate pair \(\\ude00\) in "content"\./,
  },
  {
    name: 'a misspelt key on every line',
    dataset: example('a', 'b', { wieght: 0 }).repeat(4),
    code: 'invalid_training_file',
    param: 'training_file',
    message: /4 problems: line 1, message 2 has the unknown key "wieght" \(the same on lines 2, 3 and 4\)\. Did you mean "weight"\?$/,
  },
  {
    name: 'an adapter as its model',
    model: 'adapter',
    code: 'not_a_model',
    param: 'model',
    message: /adapter is a PEFT adapter of "org\/base", not a model/,
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
    const body = { model, training_file, ...(tuning && { tuning }) };
    const error = { code, param, message: expect.stringMatching(message) };
    const begun = await api.create(body).catch(() => null);
    if (begun === null) {
      // The file had been read when the job was created.
      await expect(api.refused(body)).resolves.toMatchObject(error);
      return;
    }
    const job = await api.over(begun.id);
    expect(job.status).toBe('failed');
    expect(job.error).toEqual(error);
    // The last event comes a moment after the status.
    const event = await until('the event of the failure', async () => (await api.events(job.id)).find(({ level }) => level === 'error'));
    expect(event.message).toMatch(message);
  });

  it.each(['tiny', 'team/own', 'org/cached'])('nothing wrong, after all of these › succeeds on %s', async (model) => {
    const training_file = await api.upload(good);
    const job = await api.create({ model, training_file, hyperparameters: { n_epochs: 1, batch_size: 4 } });
    expect(await api.over(job.id)).toMatchObject({ status: 'succeeded', error: null });
    expect(await api.report(job.id, 'lineage')).toMatchObject({ base_model: { name: model, revision: model === 'org/cached' ? COMMIT : null } });
    expect(service.child.exitCode).toBeNull();
  });
});
