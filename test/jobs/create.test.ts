import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jsonText } from '../../src/formats/json-text.ts';
import { DEFAULT_PROJECT, newFileId } from '../../src/ids.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
let training_file: string;
beforeAll(async () => {
  service = await runService();
  training_file = await service.upload();
});
afterAll(() => service.close());

const create = (fields: object) => service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file, ...fields });
/** @param fields as they stand in the body */
const sendText = (key: string, fields: string) =>
  service.inject({
    method: 'POST',
    url: '/v1/fine_tuning/jobs',
    headers: { 'idempotency-key': key, 'content-type': 'application/json' },
    payload: `{"model": "graft-tiny", "training_file": "${training_file}"${fields === '' ? '' : `, ${fields}`}}`,
  });
const supervised = (fields: object) => ({ method: { type: 'supervised', supervised: fields } });
const hyperparameters = (values: object) => ({ method: { type: 'supervised', supervised: { hyperparameters: values } } });

describe('create', () => {
  it.each([
    [
      'an unknown model',
      { model: 'gpt-9' },
      { status: 404, code: 'model_not_found', param: 'model', message: 'There is no base model "gpt-9". Available: graft-tiny.' },
    ],
    ['a missing file', { training_file: 'file-none' }, { status: 400, code: 'invalid_training_file', param: 'training_file' }],
    ['a missing validation file', { validation_file: 'file-none' }, { code: 'invalid_validation_file', param: 'validation_file' }],
    ['an unknown key', { modle: 1 }, { code: 'unknown_parameter', param: 'modle' }],
    ['a hyperparameter beside the model', { n_epochs: 3 }, { code: 'unknown_parameter', param: 'n_epochs' }],
    ['a rank out of range', { tuning: { type: 'lora', r: 512 } }, { param: 'tuning.r', message: 'r is 512; the largest is 256' }],
    [
      'a rank as text',
      { tuning: { type: 'lora', r: '8' } },
      { code: 'invalid_type', param: 'tuning.r', message: 'r is "8"; it must be a whole number from 1 to 256' },
    ],
    [
      'an unknown tuning',
      { tuning: { type: 'magic' } },
      { param: 'tuning.type', message: 'type is "magic"; it must be "lora" or "full" or "bitfit" or "ia3" or "vera" or "prompt" or "prefix"' },
    ],
    ['a tuning without type', { tuning: { r: 8 } }, { param: 'tuning.type' }],
    ['an unknown key in tuning', { tuning: { type: 'lora', rank: 8 } }, { code: 'unknown_parameter', param: 'tuning.rank' }],
    ["LoRA's key in full fine-tuning", { tuning: { type: 'full', r: 8 } }, { code: 'unknown_parameter', param: 'tuning.r' }],
    ["LoRA's key in prompt tuning", { tuning: { type: 'prompt', r: 8 } }, { code: 'unknown_parameter', param: 'tuning.r' }],
    [
      'prompt tuning that begins with no text',
      { tuning: { type: 'prompt', prompt_tuning_init: 'TEXT' } },
      { code: 'invalid_value', param: 'tuning.prompt_tuning_init_text' },
    ],
    ['a prefix that an MLP makes', { tuning: { type: 'prefix', prefix_projection: true } }, { param: 'tuning.prefix_projection' }],
    ['VeRA without its matrices', { tuning: { type: 'vera', save_projection: false } }, { param: 'tuning.save_projection' }],
    [
      'too many epochs',
      hyperparameters({ n_epochs: 51 }),
      { param: 'method.supervised.hyperparameters.n_epochs', message: 'n_epochs is 51; the largest is 50' },
    ],
    [
      'epochs as text',
      hyperparameters({ n_epochs: 'many' }),
      { param: 'method.supervised.hyperparameters.n_epochs', message: 'n_epochs is "many"; it must be "auto" or a whole number from 1 to 50' },
    ],
    [
      'an unknown schedule',
      hyperparameters({ lr_scheduler_type: 'step' }),
      {
        param: 'method.supervised.hyperparameters.lr_scheduler_type',
        message:
          'lr_scheduler_type is "step"; it must be "linear" or "cosine" or "constant" or "constant_with_warmup" or "cosine_with_restarts" or "polynomial" or "inverse_sqrt" or "cosine_with_min_lr" or "warmup_stable_decay"',
      },
    ],
    ['an unknown hyperparameter', { hyperparameters: { epochs: 3 } }, { code: 'unknown_parameter', param: 'hyperparameters.epochs' }],
    [
      'both learning rates',
      hyperparameters({ learning_rate: 1e-4, learning_rate_multiplier: 2 }),
      { param: 'method.supervised.hyperparameters.learning_rate_multiplier' },
    ],
    ['hyperparameters in both places', { ...hyperparameters({}), hyperparameters: {} }, { param: 'hyperparameters' }],
    ['an unsupported method', { method: { type: 'reinforcement', reinforcement: {} } }, { code: 'unsupported_method', param: 'method.type' }],
    ['KTO one answer at a time', { method: { type: 'kto', kto: { hyperparameters: { batch_size: 1 } } } }, { message: /estimates a divergence/ }],
    [
      'distillation of nothing',
      { method: { type: 'distillation', distillation: { hyperparameters: { kd_alpha: 0, kd_ce_alpha: 0 } } } },
      { param: 'method.distillation.hyperparameters.kd_alpha', message: /both 0/ },
    ],
    [
      'a temperature of 0',
      { method: { type: 'distillation', distillation: { hyperparameters: { kd_temperature: 0 } } } },
      { param: 'method.distillation.hyperparameters.kd_temperature' },
    ],
    ['a beta of 0', { method: { type: 'dpo', dpo: { hyperparameters: { beta: 0 } } } }, { message: /beta.*(> 0|more than 0|larger|greater)/ }],
    ['an empty suffix', { suffix: '' }, { param: 'suffix', message: /^suffix is empty\. Give it a value/ }],
    ['a colon in the suffix', { suffix: 'a:b' }, { param: 'suffix', message: /^suffix is "a:b"\. Becomes part of/ }],
    ['a slash in the suffix', { suffix: 'a/b' }, { param: 'suffix' }],
    ['a control character in the suffix', { suffix: 'a\nb' }, { param: 'suffix' }],
    ['a space at the end of the suffix', { suffix: 'a ' }, { param: 'suffix' }],
    ['a suffix of 65 characters', { suffix: 'x'.repeat(65) }, { param: 'suffix', message: 'suffix has 65 characters; the limit is 64' }],
    ['an empty model', { model: '' }, { param: 'model', message: /^model is empty\./ }],
    ['an empty file id', { training_file: '' }, { param: 'training_file', message: /^training_file is empty\./ }],
    ['an empty id of a validation file', { validation_file: '' }, { param: 'validation_file', message: /^validation_file is empty\./ }],
    ['an empty chat template', supervised({ chat_template: '' }), { param: 'method.supervised.chat_template', message: /^chat_template is empty/ }],
    [
      'a chat template of a megabyte',
      supervised({ chat_template: 'x'.repeat(65_537) }),
      { param: 'method.supervised.chat_template', message: 'chat_template has 65537 characters; the limit is 65536' },
    ],
    [
      'template variables that are a list',
      supervised({ chat_template_kwargs: [] }),
      { param: 'method.supervised.chat_template_kwargs', message: 'chat_template_kwargs is []; it must be an object or null' },
    ],
    [
      'a template variable that Graft sets itself',
      supervised({ chat_template_kwargs: { enable_thinking: false, messages: [] } }),
      { param: 'method.supervised.chat_template_kwargs.messages', message: /^chat_template_kwargs has "messages"/ },
    ],
    [
      'template variables that are too large',
      supervised({ chat_template_kwargs: { documents: 'x'.repeat(65_536) } }),
      { param: 'method.supervised.chat_template_kwargs', message: /^chat_template_kwargs has 65552 characters as JSON; the limit is 65536/ },
    ],
    ['a seed below zero', { seed: -1 }, { param: 'seed', message: 'seed is -1; the smallest is 0' }],
    ['metadata that is not text', { metadata: { a: 1 } }, { param: 'metadata.a' }],
    ['an unknown integration', { integrations: [{ type: 'comet', wandb: { project: 'p' } }] }, { param: 'integrations.0.type' }],
    [
      'MLflow without a server that the operator has named',
      { integrations: [{ type: 'mlflow', mlflow: { experiment_name: 'e' } }] },
      { param: 'integrations.0.type', message: /no MLflow server/ },
    ],
    ['an integration without a project', { integrations: [{ type: 'wandb', wandb: {} }] }, { param: 'integrations.0.wandb.project' }],
    [
      'an integration with an empty project',
      { integrations: [{ type: 'wandb', wandb: { project: '' } }] },
      { param: 'integrations.0.wandb.project', message: /^project is empty/ },
    ],
    [
      'a project that Weights & Biases would refuse',
      { integrations: [{ type: 'wandb', wandb: { project: 'acme/tuning' } }] },
      { param: 'integrations.0.wandb.project', message: /^project is "acme\/tuning"\. .*entity and project/ },
    ],
    [
      'an entity that Weights & Biases would refuse',
      { integrations: [{ type: 'wandb', wandb: { project: 'p', entity: 'a:b' } }] },
      { param: 'integrations.0.wandb.entity', message: /^entity is "a:b"/ },
    ],
    [
      'a tag that is longer than Weights & Biases takes',
      { integrations: [{ type: 'wandb', wandb: { project: 'p', tags: ['a', 'x'.repeat(65)] } }] },
      { param: 'integrations.0.wandb.tags.1', message: /has 65 characters; the limit is 64/ },
    ],
    [
      'more tags than anyone reads',
      { integrations: [{ type: 'wandb', wandb: { project: 'p', tags: Array.from({ length: 51 }, (_, index) => `tag ${index}`) } }] },
      { param: 'integrations.0.wandb.tags' },
    ],
    [
      "an integration's key",
      { integrations: [{ type: 'wandb', wandb: { project: 'p', api_key: 'secret' } }] },
      { code: 'unknown_parameter', param: 'integrations.0.wandb.api_key' },
    ],
    ['no training file', { training_file: undefined }, { code: 'missing_required_parameter', param: 'training_file' }],
    ['a NUL character', { suffix: 'a\0b' }, { code: 'invalid_json' }],
  ] as [string, object, { message?: string | RegExp; [field: string]: unknown }][])(
    'with %s › is refused, naming it',
    async (_name, fields, { message, ...expected }) => {
      const refused = refusal(await create(fields));
      expect(refused).toMatchObject({ status: 400, type: 'invalid_request_error', ...expected });
      if (typeof message === 'string') expect(refused.message).toBe(message);
      else if (message !== undefined) expect(refused.message).toMatch(message);
    },
  );

  it('with a file of another purpose › is refused', async () => {
    const id = newFileId();
    const file = { id, filename: 'r.csv', purpose: 'fine-tune-results' as const, sizeBytes: 1, sha256: '', storageKey: 'files/none' };
    await service.services.files.create(DEFAULT_PROJECT, file);
    expect(refusal(await create({ training_file: id }))).toMatchObject({ status: 400, param: 'training_file', code: 'invalid_training_file' });
  });

  it('with several mistakes › names each', async () => {
    const { message } = refusal(await create({ seed: -1, tuning: { type: 'lora', r: 512, lora_dropout: 2 } }));
    for (const part of ['seed is -1', 'r is 512', 'lora_dropout is 2']) expect(message).toContain(part);
  });

  it('accepts null and auto wherever they are allowed, and hyperparameters in the deprecated field', async () => {
    const nulls = { suffix: null, seed: null, validation_file: null, metadata: null, integrations: null };
    const response = await create({ ...nulls, hyperparameters: { n_epochs: 'auto', learning_rate: 1e-3 } });
    expect(response.statusCode).toBe(200);
    expect(response.json().hyperparameters).toEqual({ n_epochs: 'auto', batch_size: 'auto', learning_rate_multiplier: 'auto', learning_rate: 1e-3 });
  });

  it('with an integration › shows it, and warns that nothing is sent', async () => {
    const integrations = [{ type: 'wandb' as const, wandb: { project: 'tuning', name: null, tags: ['a'] } }];
    const { client } = service;
    const job = await client.fineTuning.jobs.create({ model: 'graft-tiny', training_file, integrations });
    expect((await client.fineTuning.jobs.retrieve(job.id)).integrations).toEqual(integrations);
    const warnings = (await client.fineTuning.jobs.listEvents(job.id)).data.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/sends nothing there, because whoever runs it has set no WANDB_API_KEY: the project "tuning" gets no run/),
    ]);
  });

  it('with several mistakes that are the same › says each once', async () => {
    const { message } = refusal(await create({ metadata: { a: 1, b: 1 }, suffix: '' }));
    expect(message.match(/suffix is empty/g)).toHaveLength(1);
  });

  it('with a chat template and variables for it › stores and shows them', async () => {
    const given = { chat_template: '{{ messages[0].content }}', chat_template_kwargs: { enable_thinking: false, b: { deep: [1, null] }, a: 1.5 } };
    const { id, method } = (await create(supervised(given))).json();
    expect(method.supervised).toMatchObject(given);
    expect((await service.inject({ url: `/v1/fine_tuning/jobs/${id}` })).json().method.supervised).toMatchObject(given);
    const chatTemplateKwargs = new Map<string, unknown>([
      ['enable_thinking', false],
      ['b', new Map([['deep', [1n, null]]])],
      ['a', 1.5],
    ]);
    expect(await service.services.jobs.findAny(id)).toMatchObject({ chatTemplate: given.chat_template, chatTemplateKwargs });
  });

  it('with variables whose numbers and order JSON.parse would change › keeps them as they were written', async () => {
    const kwargs = '{"b":1.0,"2":12345678901234567890,"1":1e3,"a":-0.0,"b2":1e-7,"é":[1,"\\n",true]}';
    const fields = (text: string) => `"method": {"type": "supervised", "supervised": {"chat_template_kwargs": ${text}}}`;
    const created = await sendText('exact', fields(kwargs));
    const { chatTemplateKwargs } = (await service.services.jobs.findAny(created.json().id))!;
    expect(jsonText(chatTemplateKwargs!)).toBe(kwargs.replace('1e3', '1000.0'));
    expect(created.json().method.supervised.chat_template_kwargs).toEqual(JSON.parse(kwargs.replace('-0.0', '0')));
    expect(refusal(await sendText('exact', fields(kwargs.replace('1.0', '1'))))).toMatchObject({ code: 'idempotency_key_reused' });
  });
});

describe('create, twice with one Idempotency-Key', () => {
  const send = (key: string, fields: object) => sendText(key, JSON.stringify(fields).slice(1, -1));

  it('and the same body, at once or later › gives one job', async () => {
    const [first, second] = await Promise.all([send('once', {}), send('once', {})]);
    expect(first!.json().id).toBe(second!.json().id);
    expect((await send('once', {})).json().id).toBe(first!.json().id);
    expect((await send('once', { seed: null, metadata: null })).json().id).toBe(first!.json().id);
  });

  it('and the same fields in another order › gives one job', async () => {
    const first = await send('order', { seed: 1, tuning: { type: 'lora', r: 4 }, metadata: { a: '1', b: '2' } });
    const second = await send('order', { metadata: { b: '2', a: '1' }, tuning: { r: 4, type: 'lora' }, seed: 1 });
    expect(second.json().id).toBe(first.json().id);
  });

  const body = { tuning: { type: 'lora', r: 4 }, seed: 1, hyperparameters: { n_epochs: 1 } };
  const thinking = supervised({ chat_template_kwargs: { enable_thinking: true } });
  it.each([
    ['tuning and seed', body, { ...body, tuning: { type: 'full' }, seed: 2 }],
    ['tuning', body, { ...body, tuning: { type: 'lora', r: 8 } }],
    ['seed', body, { ...body, seed: 2 }],
    ['seed where the first had none', { tuning: body.tuning }, body],
    ['hyperparameters', body, { ...body, hyperparameters: { n_epochs: 2 } }],
    ['suffix', body, { ...body, suffix: 'other' }],
    ['metadata', body, { ...body, metadata: { a: 'b' } }],
    ['chat template', supervised({}), supervised({ chat_template: 'x' })],
    ['template variables', thinking, supervised({ chat_template_kwargs: { enable_thinking: null } })],
    ['template variables', thinking, supervised({ chat_template_kwargs: {} })],
  ])('and another %s › is refused', async (name, first, second) => {
    const key = `${name} ${JSON.stringify(second)}`;
    const { id } = (await send(key, first)).json();
    const refused = refusal(await send(key, second));
    expect(refused).toMatchObject({ status: 409, code: 'idempotency_key_reused', message: expect.stringContaining(id) });
    expect((await send(key, first)).json().id).toBe(id);
  });
});
