import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ExpectedLoss, readReference, referencePath } from '../../reference/fixtures.ts';
import { example } from '../journey/dataset.ts';
import { describedModel } from '../models/described-model.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';

const GIB = 2 ** 30;

let service: RunningService;
beforeAll(async () => {
  service = await runService();
  const { models } = service.services;
  await models.announce({ id: 'worker-large', hostname: 'here', device: 'CPU', memoryBytes: 16 * GIB }, [describedModel('described')]);
  await models.announce({ id: 'worker-small', hostname: 'there', device: 'CPU', memoryBytes: GIB / 4 }, []);
});
afterAll(() => service?.close());

const post = (body: object) => service.post('/v1/fine_tuning/estimate', { model: 'described', ...body });
const estimate = async (body: object = {}) => {
  const response = await post(body);
  expect(response.statusCode, response.body).toBe(200);
  return response.json();
};

describe('an estimate', () => {
  it('without a file › counts parameters and bytes, and says which workers have room', async () => {
    const { memory, workers, ...rest } = await estimate({ tuning: { type: 'lora', r: 8 } });
    // Six blocks of seven matrices: A is [8, in], B is [out, 8].
    const ranks = 8 * (2 * (192 + 192) + 2 * (192 + 64) + 3 * (192 + 512));
    expect(rest).toMatchObject({ object: 'fine_tuning.estimate', model: 'described', data: null, trained_parameters: 6 * ranks });
    const vectors = (6 * 2 + 1) * 192;
    const base = 2048 * 192 + 6 * (2 * 192 * 192 + 2 * 192 * 64 + 3 * 192 * 512) + vectors;
    expect(rest.total_parameters).toBe(base + rest.trained_parameters);
    expect(rest.delivered_bytes).toBeGreaterThan(4 * rest.trained_parameters);
    const { total_bytes: total, ...parts } = memory;
    expect(total).toBe(Object.values<number>(parts).reduce((sum, part) => sum + part, 0));
    expect(memory).toMatchObject({
      weights_bytes: 2 * base + 2 * vectors, // matrices are stored in bf16 and held so
      adapter_bytes: 4 * rest.trained_parameters,
      optimizer_bytes: 8 * rest.trained_parameters,
    });
    const facts = Object.fromEntries(workers.map(({ id, ...worker }: { id: string }) => [id, worker]));
    expect(facts).toEqual({
      'worker-large': { device: 'CPU', memory_bytes: 16 * GIB, has_model: true, fits: true },
      'worker-small': { device: 'CPU', memory_bytes: GIB / 4, has_model: false, fits: false },
      'worker-test': { device: 'CPU', memory_bytes: null, has_model: false, fits: null },
    });
    expect(rest.assumptions).toEqual([expect.stringMatching(/^precision: f32/), expect.stringMatching(/^the longest example has 512 tokens/)]);
  });

  it('of full fine-tuning › holds everything in f32, and delivers the model in the type of its base', async () => {
    const { memory, trained_parameters: trained, total_parameters: total, delivered_bytes: delivered } = await estimate({ tuning: { type: 'full' } });
    expect(trained).toBe(total);
    expect(memory).toMatchObject({ weights_bytes: 4 * total, adapter_bytes: 0, gradients_bytes: 4 * total, optimizer_bytes: 8 * total });
    expect(delivered).toBeGreaterThan(2 * total);
    expect(delivered).toBeLessThan(2.01 * total);
  });

  it('of full fine-tuning of a multimodal model › says that the delivered bytes are those of its language model', async () => {
    const json = readFileSync(join(referencePath('families', 'gemma3-vision', 'model'), 'config.json'), 'utf8');
    await service.services.models.announce({ id: 'worker-seeing', hostname: 'here', device: 'CPU', memoryBytes: GIB }, [
      { ...describedModel('seeing'), family: 'gemma3', config: json },
    ]);
    const ofFull = await estimate({ model: 'seeing', tuning: { type: 'full' } });
    expect(ofFull.total_parameters).toBe(readReference<ExpectedLoss>('families', 'gemma3-vision', 'expected.json').parameters);
    expect(ofFull.assumptions).toContainEqual(expect.stringMatching(/^delivered_bytes: those of the language model/));
    const ofAdapter = await estimate({ model: 'seeing', tuning: { type: 'lora' } });
    expect(ofAdapter.assumptions).not.toContainEqual(expect.stringMatching(/^delivered_bytes/));
  });

  it('takes less for bf16, gradient checkpointing and short examples', async () => {
    const of = async (hyperparameters: object) =>
      (await estimate({ method: { type: 'supervised', supervised: { hyperparameters: { precision: 'f32', max_length: 512, ...hyperparameters } } } }))
        .memory;
    const plain = await of({});
    const [bf16, checkpointed, short] = [
      await of({ precision: 'bf16' }),
      await of({ gradient_checkpointing: true }),
      await of({ max_length: 64, batch_size: 1 }),
    ];
    expect(bf16.weights_bytes).toBe(plain.weights_bytes); // the base is stored in bf16
    expect(bf16.activations_bytes).toBeLessThan(0.6 * plain.activations_bytes);
    expect(checkpointed.activations_bytes).toBeLessThan(0.2 * plain.activations_bytes);
    expect(short.activations_bytes).toBeLessThan(0.2 * plain.activations_bytes);
  });

  it('of a file › counts its lines, and steps as a job takes them', async () => {
    const text = 'a word '.repeat(20);
    const training_file = await service.upload(Array.from({ length: 30 }, () => example(text, text)).join(''));
    const { data, assumptions } = await estimate({ training_file, hyperparameters: { batch_size: 4, n_epochs: 3, precision: 'f32' } });
    const tokens = 280 / 4 + 2 * 5;
    expect(data).toEqual({ examples: 30, tokens: 30 * tokens, longest_tokens: tokens, total_steps: 24, total_tokens: 90 * tokens });
    expect(assumptions).toEqual([`the longest example has about ${tokens} tokens, by the length of its text`]);
  });

  it('takes what a job is created with', async () => {
    const training_file = await service.upload();
    const job = { training_file, seed: 1, suffix: 'mine', dry_run: true, metadata: { a: 'b' }, validation_file: null };
    expect(await estimate(job)).toMatchObject({ data: { examples: 1 } });
  });

  it('refuses what a job would be refused for, under the same code', async () => {
    const lora = (target_modules: string[]) => ({ tuning: { type: 'lora', target_modules } });
    const notJson = await service.upload('{"prompt": "a"\n');
    const cases: [object, string, string | null][] = [
      [{ model: 'unknown' }, 'model_not_found', 'model'],
      [{ model: 'graft-tiny' }, 'model_not_described', 'model'],
      [{ training_file: 'file-unknown' }, 'invalid_training_file', 'training_file'],
      [{ training_file: notJson }, 'invalid_training_file', 'training_file'],
      [{ method: { type: 'reinforcement' } }, 'unsupported_method', 'method.type'],
      [{ hyperparameters: { learning_rate: 0.1, learning_rate_multiplier: 2 } }, 'invalid_value', 'hyperparameters.learning_rate_multiplier'],
      [lora(['no_such_layer']), 'unknown_target_module', 'tuning.target_modules'],
      [{ batch: 4 }, 'unknown_parameter', 'batch'],
    ];
    for (const [body, code, param] of cases) expect(refusal(await post(body)), JSON.stringify(body)).toMatchObject({ code, param });
  });
});
