import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filesOf, PEFT_ADAPTER, tarOfFiles } from '../../files/adapter-tar.ts';
import { sameAnswer } from '../../journey/dataset.ts';
import { refusal } from '../../running-service.ts';
import { sha256 } from '../../sha256.ts';
import { superviseJobs, WEIGHTS } from './supervised-jobs.ts';

const TINY = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let adapter: { id: string; model: string };
beforeAll(async () => {
  jobs = await superviseJobs();
  adapter = await succeeded({});
});
afterAll(() => jobs.close());

const once = { hyperparameters: { n_epochs: 1, batch_size: 8, learning_rate: 0.01 } };

/** Trains a job to its end. */
async function succeeded(fields: object) {
  const id = await jobs.makeJob(fields);
  await jobs.supervise(id);
  const job = (await jobs.get(id)).json();
  if (job.status !== 'succeeded') throw new Error(JSON.stringify(job.error));
  return { id, model: job.fine_tuned_model as string, job };
}
const firstLoss = async (id: string): Promise<number> => {
  const { data } = (await jobs.get(id, '/events?limit=100')).json();
  return data.findLast(({ type }: { type: string }) => type === 'metrics').data.train_loss;
};
const lossOf = async (id: string): Promise<number> => (await jobs.get(id, '/proof')).json().loss.delivered;

describe('a job on an uploaded adapter', () => {
  const uploadTar = async (files: Record<string, Buffer | string>) => {
    const file = new File([new Uint8Array(await tarOfFiles(files))], 'adapter.tar');
    return (await jobs.service.client.files.create({ file, purpose: 'fine-tune' })).id;
  };
  /** The loss that the model with the adapter has, after a step that trains nothing to speak of. */
  const still = { hyperparameters: { n_epochs: 1, batch_size: 8, learning_rate: 1e-12 } };

  it('begins with its loss and names it in the lineage, whether Graft or PEFT wrote it', async () => {
    const delivered = { 'adapter_config.json': '', [WEIGHTS]: '' };
    for (const name of Object.keys(delivered)) Object.assign(delivered, { [name]: (await jobs.get(adapter.id, `/adapter/${name}`)).rawPayload });
    const own = await uploadTar(delivered);
    const { id, job } = await succeeded({ ...once, start_from: own, tuning: undefined });
    expect(job).toMatchObject({ model: 'graft-tiny', start_from: own, tuning: { r: 4 } });
    expect(Math.abs((await firstLoss(id)) - (await lossOf(adapter.id)))).toBeLessThan(1e-4);
    const lineage = (await jobs.get(id, '/lineage')).json();
    expect(lineage).toMatchObject({ base_model: { name: 'graft-tiny' }, continued_from: { model: own, job: null } });
    expect(lineage.continued_from.files.find(({ name }: { name: string }) => name === WEIGHTS)).toMatchObject({
      sha256: sha256(Buffer.from(delivered[WEIGHTS])),
    });

    const peft = await succeeded({ ...still, start_from: await uploadTar(filesOf(PEFT_ADAPTER)), tuning: undefined });
    // What PEFT's adapter computes, the engine is held to elsewhere: here, that it is this adapter which the job has.
    const trained = await jobs.weights(peft.id);
    expect(trained.length).toBe(filesOf(PEFT_ADAPTER)[WEIGHTS]!.length);
    expect(await firstLoss(peft.id)).not.toBeCloseTo(await firstLoss(id), 3);
  });

  it('of another tokenizer, or whose tensors are another model’s › fails and says so', async () => {
    const tokenizer = JSON.parse(readFileSync(join(TINY, 'tokenizer.json'), 'utf8'));
    const [token] = Object.keys(tokenizer.model.vocab);
    tokenizer.model.vocab[token!] = 9999;
    const other = await uploadTar({ ...filesOf(PEFT_ADAPTER), 'tokenizer.json': JSON.stringify(tokenizer) });
    const same = await uploadTar({ ...filesOf(PEFT_ADAPTER), 'tokenizer.json': readFileSync(join(TINY, 'tokenizer.json'), 'utf8') });
    const ended = async (start_from: string) => {
      const id = await jobs.makeJob({ ...once, start_from, tuning: undefined });
      await jobs.supervise(id);
      return (await jobs.get(id)).json();
    };
    expect(await ended(other)).toMatchObject({ status: 'failed', error: { code: 'tokenizer_mismatch', param: 'start_from' } });
    expect(await ended(same)).toMatchObject({ status: 'succeeded' });
    const foreign = await uploadTar(filesOf(join(TINY, '../../llama-untied-v4/adapters/all-linear/adapter')));
    expect(await ended(foreign)).toMatchObject({ status: 'failed', error: { code: 'corrupt_model_file' } });
  });
});

describe('a job on a tuned model', () => {
  it('continues its adapter on the same base: the first loss is that of the model', async () => {
    const { id, job } = await succeeded({ ...once, model: adapter.model, tuning: undefined });
    expect(job).toMatchObject({ model: adapter.model, tuning: { type: 'lora', r: 4 } });
    expect(job.fine_tuned_model).toMatch(/^ft:graft-tiny:/);
    expect(Math.abs((await firstLoss(id)) - (await lossOf(adapter.id)))).toBeLessThan(1e-4);
    const lineage = (await jobs.get(id, '/lineage')).json();
    expect(lineage.base_model.name).toBe('graft-tiny');
    expect(lineage.continued_from).toMatchObject({ model: adapter.model, job: adapter.id });
    expect(lineage.continued_from.files.map(({ name }: { name: string }) => name)).toContain(WEIGHTS);
  });

  it('with a larger rank › continues its adapter as a part of a larger one', async () => {
    const { id, job } = await succeeded({ ...once, model: adapter.model, tuning: { type: 'lora', r: 6 } });
    expect(job.tuning).toMatchObject({ r: 6, lora_alpha: 12 });
    expect(Math.abs((await firstLoss(id)) - (await lossOf(adapter.id)))).toBeLessThan(1e-4);
    expect((await jobs.get(id, '/proof')).json()).toMatchObject({ object: expect.any(String) });
  });

  it('with merge_first › trains a new adapter on it, and delivers both as one, which can be continued in turn', async () => {
    const tuning = { type: 'lora', r: 2, lora_alpha: 4, merge_first: true };
    const merged = await succeeded({ ...once, model: adapter.model, tuning });
    expect(merged.job.tuning).toMatchObject({ r: 2, merge_first: { r: 4, lora_alpha: 8, use_rslora: false } });
    expect(Math.abs((await firstLoss(merged.id)) - (await lossOf(adapter.id)))).toBeLessThan(1e-4);
    expect((await jobs.get(merged.id, '/adapter/adapter_config.json')).json()).toMatchObject({ r: 6, lora_alpha: 12 });
    const onThat = await succeeded({ ...once, model: merged.model, tuning: undefined });
    expect(onThat.job.tuning).toMatchObject({ r: 6, lora_alpha: 12 });
    expect(Math.abs((await firstLoss(onThat.id)) - (await lossOf(merged.id)))).toBeLessThan(1e-4);
    const create = { training_file: await jobs.service.upload(sameAnswer(2)), model: 'graft-tiny', tuning };
    expect(refusal(await jobs.service.post('/v1/fine_tuning/jobs', create))).toMatchObject({ status: 400, param: 'tuning.merge_first' });
  });

  it('that is a checkpoint › continues from that step', async () => {
    const checkpoints = (await jobs.get(adapter.id, '/checkpoints')).json().data;
    const first = checkpoints.at(-1);
    const { id } = await succeeded({ ...once, model: first.fine_tuned_model_checkpoint });
    expect((await jobs.get(id, '/lineage')).json().continued_from.model).toBe(first.fine_tuned_model_checkpoint);
    expect(await firstLoss(id)).toBeGreaterThan((await lossOf(adapter.id)) + 1e-3); // the model had trained on
  });

  it('that was tuned in full › trains on it, in full or with an adapter, which can be continued in turn', async () => {
    const full = await succeeded({ tuning: { type: 'full' } });
    const again = await succeeded({ ...once, model: full.model, tuning: undefined });
    expect(again.job.tuning).toEqual({ type: 'full' });
    expect(Math.abs((await firstLoss(again.id)) - (await lossOf(full.id)))).toBeLessThan(1e-3);
    const onFull = await succeeded({ ...once, model: full.model });
    expect((await jobs.get(onFull.id, '/lineage')).json().base_model.name).toBe(full.model);
    const onThat = await succeeded({ ...once, model: onFull.model });
    expect((await jobs.get(onThat.id, '/lineage')).json()).toMatchObject({
      base_model: { name: full.model },
      continued_from: { model: onFull.model },
    });
    expect(Math.abs((await firstLoss(onThat.id)) - (await lossOf(onFull.id)))).toBeLessThan(1e-3);
  });

  it('with another tuning, or on an unknown name › is refused, with what to do', async () => {
    const create = async (fields: object) => {
      const training_file = await jobs.service.upload(sameAnswer(2));
      return refusal(await jobs.service.post('/v1/fine_tuning/jobs', { training_file, ...fields }));
    };
    for (const tuning of [{ type: 'lora', r: 2 }, { type: 'full' }, { type: 'lora', r: 4, target_modules: ['q_proj'] }])
      expect(await create({ model: adapter.model, tuning })).toMatchObject({ status: 400, code: 'tuning_mismatch', param: 'tuning' });
    for (const model of ['ft:graft-tiny:graft::none', `${adapter.model}:ckpt-step-99`])
      expect(await create({ model })).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
  });

  it('that is deleted before the job begins › fails and says so', async () => {
    const doomed = await succeeded({});
    const id = await jobs.makeJob({ model: doomed.model });
    expect((await jobs.service.client.models.delete(doomed.model)).deleted).toBe(true);
    await jobs.supervise(id);
    const { status, error } = (await jobs.get(id)).json();
    expect(status).toBe('failed');
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model', message: expect.stringContaining(doomed.model) });
  });
});
