import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningService, runService } from './running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

describe('the official client', () => {
  it('uploads, lists, reads and deletes a file', async () => {
    const { client } = service;
    const content = '{"prompt":"Grüße","completion":"你好"}\n'.repeat(100);
    const file = await client.files.create({ file: new File([content], 'größe.jsonl'), purpose: 'fine-tune' });
    expect(file).toMatchObject({
      object: 'file',
      bytes: Buffer.byteLength(content),
      filename: 'größe.jsonl',
      purpose: 'fine-tune',
      status: 'uploaded',
    });
    expect(file.id).toMatch(/^file-/);
    expect(await client.files.waitForProcessing(file.id, { pollInterval: 20 })).toEqual({ ...file, status: 'processed' });
    expect(await (await client.files.content(file.id)).text()).toBe(content);
    const ids = [];
    for await (const { id } of client.files.list({ purpose: 'fine-tune', limit: 1 })) ids.push(id);
    expect(ids).toContain(file.id);
    expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
    await expect(client.files.retrieve(file.id)).rejects.toMatchObject({ status: 404, code: 'file_not_found' });
  });

  it('lists base models with their family, size and tuning methods', async () => {
    const { client, services } = service;
    const unknown = { id: 'a-mamba', family: 'mamba', parameters: 10, sizeBytes: 40, revision: null };
    await services.models.announce({ id: 'worker-other', hostname: 'there', device: 'CPU' }, [unknown]);
    try {
      const models = (await client.models.list()).data;
      expect(models).toContainEqual({
        id: 'graft-tiny',
        object: 'model',
        created: expect.any(Number),
        owned_by: 'system',
        family: 'llama',
        parameters: 4_000_000,
        size_bytes: 8_000_000,
        tuning_types: ['lora', 'full', 'bitfit', 'ia3', 'vera', 'prompt', 'prefix'],
      });
      expect(models.find(({ id }) => id === 'a-mamba')).toMatchObject({ family: 'mamba', tuning_types: [] });
    } finally {
      await services.models.removeWorker('worker-other');
    }
  });

  it('creates, retrieves, lists and cancels a job and reads its events', async () => {
    const { client } = service;
    const training_file = await service.upload();
    const job = await client.fineTuning.jobs.create({
      model: 'graft-tiny',
      training_file,
      suffix: 'mine',
      seed: 7,
      metadata: { team: 'blue' },
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2 } } },
    });
    expect(job).toEqual({
      id: expect.stringMatching(/^ftjob-/),
      object: 'fine_tuning.job',
      created_at: expect.closeTo(Date.now() / 1000, -2),
      error: null,
      fine_tuned_model: null,
      finished_at: null,
      hyperparameters: { n_epochs: 2, batch_size: 'auto', learning_rate_multiplier: 'auto' },
      model: 'graft-tiny',
      organization_id: 'graft',
      result_files: [],
      suffix: 'mine',
      seed: 7,
      priority: 0,
      dry_run: false,
      status: 'validating_files',
      waiting_for: null,
      step: null,
      total_steps: null,
      trained_tokens: null,
      training_file,
      validation_file: null,
      sample_prompts: null,
      evaluations: null,
      evaluation_file: null,
      evaluation_max_examples: null,
      max_completion_tokens: null,
      analysis: false,
      retention_file: null,
      start_from: null,
      sweep_id: null,
      estimated_finish: null,
      integrations: null,
      metadata: { team: 'blue' },
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2, batch_size: 'auto', learning_rate_multiplier: 'auto' } } },
      tuning: { type: 'lora', r: 16, lora_alpha: 32, lora_dropout: 0, target_modules: 'all-linear', use_rslora: false },
    });
    expect(await client.fineTuning.jobs.retrieve(job.id)).toEqual({ ...job, queue_position: 1 });
    const other = await client.fineTuning.jobs.create({ model: 'graft-tiny', training_file });
    const all = [];
    for await (const { id } of client.fineTuning.jobs.list({ limit: 1 })) all.push(id);
    expect(all.indexOf(other.id)).toBeLessThan(all.indexOf(job.id));
    expect((await client.fineTuning.jobs.list({ metadata: { team: 'blue' } })).data.map(({ id }) => id)).toEqual([job.id]);
    const without = (await client.fineTuning.jobs.list({ metadata: null })).data.map(({ id }) => id);
    expect(without).toContain(other.id);
    expect(without).not.toContain(job.id);

    expect(await client.fineTuning.jobs.cancel(job.id)).toMatchObject({ id: job.id, status: 'cancelled', finished_at: expect.any(Number) });
    await expect(client.fineTuning.jobs.cancel(job.id)).rejects.toMatchObject({ status: 400, type: 'invalid_request_error' });
    const messages = [];
    for await (const event of client.fineTuning.jobs.listEvents(job.id, { limit: 2 })) messages.push(event.message);
    expect(messages).toEqual(['The job has been cancelled', `Validating training file: ${training_file}`, `Created fine-tuning job: ${job.id}`]);
    expect((await client.fineTuning.jobs.checkpoints.list(job.id)).data).toEqual([]);
  });

  it('gets fine_tune_not_found for an unknown job', async () => {
    const calls = [
      () => service.client.fineTuning.jobs.retrieve('ftjob-none'),
      () => service.client.fineTuning.jobs.cancel('ftjob-none'),
      () => service.client.fineTuning.jobs.listEvents('ftjob-none'),
      () => service.client.fineTuning.jobs.checkpoints.list('ftjob-none'),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ status: 404, code: 'fine_tune_not_found', type: 'invalid_request_error' });
  });

  it('gets invalid_api_key with a wrong key', async () => {
    const stranger = service.client.withOptions({ apiKey: 'wrong' });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key', type: 'authentication_error' });
  });
});
