import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { HashedFile } from '../../src/formats/hashed-file.ts';
import { fineTunedModelName, newFileId } from '../../src/ids.ts';
import { keys } from '../../src/object-store/keys.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
let training_file: string;
beforeAll(async () => {
  service = await runService();
  training_file = await service.upload();
});
afterAll(() => service.close());

const WEIGHTS = 'adapter_model.safetensors';
/** What a checkpoint holds whose weights have this hash. */
const checkpointFiles = (sha256: string, step: number): HashedFile[] => [
  { name: `adapter/${WEIGHTS}`, bytes: 1, sha256 },
  { name: 'adapter/README.md', bytes: 1, sha256: 'readme' },
  { name: 'trainer_state.safetensors', bytes: 1, sha256: `state ${step}` },
];

/** A job that has succeeded, with a checkpoint for each of these hashes. */
async function succeededJob(...hashes: string[]) {
  const { jobs, jobRecord, objectStore } = service.services;
  const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json();
  const job = (await jobs.claim(id, 'worker-a'))!;
  const patch = { totalSteps: hashes.length, resolved: { n_epochs: 1 } as never };
  await jobs.begin(job, { read: { patch }, start: {} });
  const folders: string[] = [];
  for (const [index, sha256] of hashes.entries()) {
    const step = index + 1;
    const folder = keys.newCheckpoint(id, job.attempt, step);
    const files = checkpointFiles(sha256, step);
    for (const { name } of files) await objectStore.put(folder + name, 'x');
    await jobRecord.addCheckpoint(job, { step, folder, metrics: { step }, files });
    folders.push(folder);
  }
  const adapterFolder = keys.newDelivery(id, job.attempt);
  await objectStore.put(adapterFolder + WEIGHTS, 'x');
  const stored = { id: newFileId(), filename: WEIGHTS, purpose: 'fine-tune-results' as const, sizeBytes: 1, sha256: hashes.at(-1)! };
  const files = [{ ...stored, storageKey: adapterFolder + WEIGHTS }];
  const model = fineTunedModelName(job);
  await jobs.succeed(job, { fineTunedModel: model, adapterFolder, trainedTokens: 1, files, events: [] });
  return { id, model, folders, adapterFolder, file: stored.id };
}

const remove = (model: string) => service.inject({ method: 'DELETE', url: `/v1/models/${encodeURIComponent(model)}` });
const find = (model: string) => service.inject({ url: `/v1/models/${encodeURIComponent(model)}` });
const get = (id: string, path = '') => service.inject({ url: `/v1/fine_tuning/jobs/${id}${path}` });
const isStored = async (folder: string) => (await service.services.objectStore.list(folder)).length > 0;

describe('a tuned model that is deleted', () => {
  it('takes every checkpoint and result file along; the job stays and says so', async () => {
    const { id, model, folders, adapterFolder, file } = await succeededJob('a', 'c', 'b', 'c');
    expect((await remove(model)).json()).toEqual({ id: model, object: 'model', deleted: true });
    expect(await Promise.all([adapterFolder, ...folders].map(isStored))).toEqual([false, false, false, false, false]);
    expect((await get(id, '/checkpoints')).json().data).toEqual([]);
    expect((await get(id)).json()).toMatchObject({ status: 'succeeded', fine_tuned_model: null, result_files: [] });
    expect(refusal(await get(id, '/adapter')).message).toContain('Its model has been deleted');
    expect((await get(id, '/events')).json().data[0].message).toContain(`The model ${model} has been deleted`);
    expect(refusal(await service.inject({ url: `/v1/files/${file}` }))).toMatchObject({ code: 'file_not_found' });
    for (const name of [model, `${model}:ckpt-step-1`]) {
      expect(refusal(await remove(name))).toMatchObject({ status: 404, code: 'model_not_found' });
      expect(refusal(await find(name))).toMatchObject({ status: 404, code: 'model_not_found' });
    }
  });

  it('while the object store is away › stays until the deletion is repeated, which then finishes it', async () => {
    const { id, model, folders, adapterFolder } = await succeededJob('a');
    const away = vi.spyOn(service.services.objectStore, 'deletePrefix').mockRejectedValueOnce(new Error('the store is away'));
    expect((await remove(model)).statusCode).toBe(500);
    away.mockRestore();
    expect((await get(id)).json().fine_tuned_model).toBe(model);
    expect((await remove(model)).statusCode).toBe(200);
    expect(await Promise.all([adapterFolder, ...folders].map(isStored))).toEqual([false, false]);
  });
});

describe('a checkpoint that is deleted by its name', () => {
  it('goes alone, once: what GET finds, DELETE deletes', async () => {
    const { id, model, folders, adapterFolder } = await succeededJob('a', 'b');
    const name = `${model}:ckpt-step-1`;
    expect((await find(name)).json()).toMatchObject({ id: name, job_id: id });
    expect((await remove(name)).json()).toEqual({ id: name, object: 'model', deleted: true });
    expect(refusal(await find(name))).toMatchObject({ status: 404 });
    expect(refusal(await remove(name))).toMatchObject({ status: 404 });
    expect(await Promise.all([adapterFolder, ...folders].map(isStored))).toEqual([true, false, true]);
    expect((await get(id, '/checkpoints')).json().data).toHaveLength(1);
    expect((await get(id)).json().fine_tuned_model).toBe(model);
  });

  it('while its job may resume from it › is refused', async () => {
    const { jobs, jobRecord } = service.services;
    const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json();
    const job = (await jobs.claim(id, 'worker-a'))!;
    const { name } = (await jobRecord.addCheckpoint(job, { step: 1, folder: keys.newCheckpoint(id, 1, 1), metrics: { step: 1 }, files: [] }))!;
    expect(refusal(await remove(name))).toMatchObject({ status: 400, code: 'checkpoint_in_use', param: 'model' });
    await service.post(`/v1/fine_tuning/jobs/${id}/cancel`, {});
    expect((await remove(name)).statusCode).toBe(200);
  });
});
