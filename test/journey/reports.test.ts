import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AdapterProof } from '../../src/formats/adapter-proof.ts';
import type { Lineage } from '../../src/formats/lineage.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import { sha256 } from '../sha256.ts';
import { type Api, connect, type JobObject } from './api.ts';
import { example, sameAnswer } from './dataset.ts';
import { makeHome, startService } from './service.ts';

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

const long = example('Short?', 'seven '.repeat(60));
/** Line 9 repeats line 1, line 10 has nothing to train on, lines 11 and 12 are too long. */
const training = sameAnswer(8) + sameAnswer(1) + example('Unheard?', 'no', { weight: 0 }) + long + example('Other?', 'eight '.repeat(60));
/** Its first two examples are in the training file. */
const validation = sameAnswer(2) + sameAnswer(3, 50);

const hyperparameters = { n_epochs: 2, batch_size: 4, learning_rate: 5e-3, max_length: 64 };

async function run(body: object): Promise<JobObject> {
  return api.over((await api.create({ model: 'tiny', seed: 11, ...body })).id);
}

describe('the reports of a job with truncated examples', () => {
  let job: JobObject;
  beforeAll(async () => {
    const [training_file, validation_file] = [await api.upload(training), await api.upload(validation)];
    job = await run({ training_file, validation_file, hyperparameters: { ...hyperparameters, truncation: 'right' }, tuning: { type: 'lora', r: 4 } });
  });

  it('receipt › counts supervised tokens and examples that are truncated, repeated, empty or in both files', async () => {
    expect(job).toMatchObject({ status: 'succeeded', error: null });
    const receipt = await api.report<TokenReceipt>(job.id, 'receipt');
    expect(receipt).toMatchObject({ object: 'fine_tuning.job.receipt', max_length: 64, truncation: 'right', overlap: 2 });
    expect(receipt.training).toMatchObject({
      sha256: sha256(training),
      lines: 12,
      examples: 11,
      longest: { line: expect.any(Number) },
      too_long: { examples: 2, truncated: 2, dropped: 0, lines: [11, 12] },
      nothing_to_learn: { examples: 1, after_truncation: 0, lines: [10] },
      duplicates: 1,
    });
    expect([11, 12]).toContain(receipt.training.longest.line);
    expect(receipt.training.longest.tokens).toBeGreaterThan(64);
    expect(receipt.validation).toMatchObject({ sha256: sha256(validation), examples: 5, duplicates: 0, too_long: { examples: 0 } });
    const template = await readFile(join(home.modelsDir, 'tiny/chat_template.jinja'), 'utf8');
    expect(receipt.template).toMatchObject({ sha256: sha256(template), marks_generation: true });
  });

  it('receipt › shows the first examples decoded, with the supervised tokens marked', async () => {
    const { samples } = (await api.report<TokenReceipt>(job.id, 'receipt')).training;
    expect(samples.map(({ line }) => line)).toEqual([1, 2, 3]);
    const [first] = samples;
    const supervised = first!.spans.filter((span) => span.supervised).map(({ text }) => text);
    expect(supervised.join('')).toContain('one two three');
    expect(supervised.join('')).not.toContain('Question');
    expect(first!.spans.map(({ text }) => text).join('')).toContain('Question 0?');
    expect(first!.shown_tokens).toBe(first!.tokens);
  });

  it('proof › passes for the files that are downloaded, with the loss that the job reported', async () => {
    const proof = await api.report<AdapterProof>(job.id, 'proof');
    expect(proof).toMatchObject({ passed: true, problems: [], tensors: { finite: true }, effect: { prompts: 4 } });
    const adapter = await api.adapter(job.id);
    expect(proof.files).toEqual([...adapter].map(([name, content]) => ({ name, bytes: content.length, sha256: sha256(content) })));
    const [last] = await api.checkpoints(job.id);
    expect(proof.loss).toMatchObject({ measured_on: 'validation_file', examples: 5, live: last!.metrics['full_valid_loss'] });
    expect(proof.loss!.difference).toBeLessThanOrEqual(1e-3);
  });

  it('lineage › is the manifest in the tar, and its hashes are those of the files', async () => {
    const lineage = await api.report<Lineage>(job.id, 'lineage');
    const manifest = (await api.adapter(job.id)).get('graft_manifest.json')!;
    expect(JSON.parse(manifest.toString())).toEqual(lineage);
    const { save_total_limit: kept, ...trained } = job.hyperparameters; // changes nothing in the files
    expect(kept).toBe(10);
    expect(lineage).toMatchObject({
      job: job.id,
      seed: 11,
      tuning: { type: 'lora', r: 4, lora_alpha: 8 },
      hyperparameters: trained,
      step: 6,
      total_steps: 6,
      base_model: { name: 'tiny', revision: null },
      data: { training: { sha256: sha256(training), examples: 11 }, validation: { sha256: sha256(validation), examples: 5 } },
      versions: {
        graft: expect.stringMatching(/^\d/),
        node: process.version,
        tfjs: expect.stringMatching(/^\d/),
        tensorflow: expect.stringMatching(/^\d/),
      },
    });
    const files = lineage.base_model.files.map(({ name }) => name);
    expect(files).toEqual(expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json', 'chat_template.jinja']));
    for (const { name, sha256: hash } of lineage.base_model.files) expect(hash).toBe(sha256(await readFile(join(home.modelsDir, 'tiny', name))));
    const [last] = await api.checkpoints(job.id);
    const checkpoint = JSON.parse((await api.adapter(job.id, 3)).get('graft_manifest.json')!.toString());
    expect(checkpoint).toEqual({ ...lineage, step: 3, created_at: expect.any(String), losses: expect.any(Object) });
    expect(lineage.losses).toMatchObject({ train_loss: last!.metrics['train_loss'], full_valid_loss: last!.metrics['full_valid_loss'] });
  });
});

describe('a job whose examples are too long and may not be truncated', () => {
  it('fails and names them, and its receipt counts them all', async () => {
    const training_file = await api.upload(sameAnswer(3) + long.repeat(12));
    const job = await run({ training_file, hyperparameters });
    expect(job).toMatchObject({
      status: 'failed',
      error: { code: 'invalid_training_file', message: expect.stringMatching(/line 4 has \d+ tokens; the limit is 64/) },
    });
    const receipt = await api.report<TokenReceipt>(job.id, 'receipt');
    expect(receipt).toMatchObject({ truncation: 'error', validation: null, overlap: null });
    expect(receipt.training).toMatchObject({ lines: 15, examples: 3, too_long: { examples: 12, truncated: 0, dropped: 0 } });
    await expect(api.report(job.id, 'proof')).rejects.toThrow(/404.*report_not_found|404.*has no proof/);
  });
});

describe('a job that would train nothing', () => {
  it('is not delivered: its proof shows that the model predicts the same as its base', async () => {
    const training_file = await api.upload(sameAnswer(4));
    // The only step is the first of the warm-up, with a learning rate of 0.
    const job = await run({ training_file, hyperparameters: { n_epochs: 1, batch_size: 4, warmup_ratio: 1 } });
    expect(job).toMatchObject({
      status: 'failed',
      fine_tuned_model: null,
      error: { code: 'proof_failed', message: expect.stringMatching(/training changed nothing/) },
    });
    expect(await api.report(job.id, 'proof')).toMatchObject({ passed: false, effect: { largest_difference: 0 } });
  });
});

describe('the proof and lineage of full fine-tuning', () => {
  it('cover the model directory', async () => {
    const training_file = await api.upload(sameAnswer(8));
    const job = await run({ training_file, hyperparameters: { n_epochs: 1, batch_size: 4 }, tuning: { type: 'full' } });
    expect(job).toMatchObject({ status: 'succeeded', error: null });
    const proof = await api.report<AdapterProof>(job.id, 'proof');
    expect(proof).toMatchObject({ passed: true, loss: { measured_on: 'training_sample', examples: 8 }, tensors: { finite: true } });
    expect(proof.files.map(({ name }) => name)).toEqual(expect.arrayContaining(['model.safetensors', 'config.json', 'graft_manifest.json']));
    expect(await api.report<Lineage>(job.id, 'lineage')).toMatchObject({ tuning: { type: 'full' }, data: { validation: null } });
  });
});
