import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_PROJECT, fineTunedModelName, newFileId } from '../../src/ids.ts';
import { keys } from '../../src/object-store/keys.ts';
import { API_KEY, type RunningService, refusal, runService } from '../running-service.ts';
import { unpackTar } from '../unpack-tar.ts';

const adapter = { 'adapter_config.json': '{"r":8}', 'adapter_model.safetensors': 'x'.repeat(3_000_000) };

let service: RunningService;
let jobId: string;
let modelName: string;
let adapterFolder: string;
let checkpointFolder: string;
beforeAll(async () => {
  service = await runService();
  const { jobs, jobRecord, files, objectStore } = service.services;
  const training_file = await service.upload();
  jobId = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file, suffix: 'a b c' })).json().id;
  const job = (await jobs.claim(jobId, 'worker-test'))!;
  adapterFolder = keys.newDelivery(jobId, job.attempt);
  await jobs.move(jobId, 'read', { attempt: 1 });
  await jobs.move(jobId, 'start', { attempt: 1 });
  const folder = keys.newCheckpoint(jobId, 1, 5);
  for (const [name, content] of Object.entries(adapter)) {
    await objectStore.put(adapterFolder + name, content);
    await objectStore.put(keys.checkpointAdapter(folder) + name, content);
    await objectStore.put(keys.checkpointAdapter(keys.newCheckpoint(jobId, 1, 6)) + name, content); // its worker died before the row was written
  }
  checkpointFolder = keys.checkpointAdapter(folder);
  const recorded = Object.entries(adapter).map(([name, content]) => ({
    name: `adapter/${name}`,
    bytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
  }));
  await jobRecord.addCheckpoint({ id: jobId, attempt: 1 }, { step: 5, folder, metrics: { step: 5, train_loss: 1.5 }, files: recorded });
  modelName = fineTunedModelName(job);
  const storageKey = `${adapterFolder}adapter_config.json`;
  const result = { id: newFileId(), filename: 'adapter_config.json', purpose: 'fine-tune-results' as const, sizeBytes: 7, sha256: '', storageKey };
  await files.create(DEFAULT_PROJECT, result);
  await jobs.move(jobId, 'succeed', {
    attempt: 1,
    patch: { fineTunedModel: modelName, adapterFolder, trainedTokens: 100, resultFileIds: [result.id] },
  });
});
afterAll(() => service.close());

async function untar(bytes: Buffer): Promise<Record<string, string>> {
  const files = await unpackTar(bytes);
  return Object.fromEntries([...files].map(([name, content]) => [name, content.toString()]));
}

const download = (path: string) => service.inject({ url: `/v1/fine_tuning/jobs/${jobId}${path}` });

describe('an adapter', () => {
  it('can be downloaded as a tar of its directory, from the job and from a checkpoint', async () => {
    for (const path of ['/adapter', '/checkpoints/5/adapter']) {
      const response = await download(path);
      expect(response.headers['content-type']).toBe('application/x-tar');
      expect(await untar(response.rawPayload)).toEqual(adapter);
    }
  });

  it('of a checkpoint that was damaged in storage › is cut off before its end', async () => {
    const key = `${checkpointFolder}adapter_model.safetensors`;
    await service.services.objectStore.put(key, `y${adapter['adapter_model.safetensors'].slice(1)}`);
    const headers = { authorization: `Bearer ${API_KEY}` };
    const response = await fetch(`${service.address}/v1/fine_tuning/jobs/${jobId}/checkpoints/5/adapter`, { headers });
    await expect(response.arrayBuffer()).rejects.toThrow('terminated');
  });

  it('can be downloaded file by file, but nothing outside its directory can', async () => {
    expect((await download('/adapter/adapter_config.json')).body).toBe('{"r":8}');
    for (const name of ['none.bin', '..%2Fcheckpoints%2F5%2Fadapter%2Fadapter_config.json', '%2Fetc%2Fpasswd']) {
      expect(refusal(await download(`/adapter/${name}`))).toMatchObject({ status: 404, code: 'adapter_not_found' });
    }
  });

  it('is refused before the job succeeds, and for a step without a checkpoint', async () => {
    const training_file = await service.upload();
    const waiting = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json().id;
    const early = refusal(await service.inject({ url: `/v1/fine_tuning/jobs/${waiting}/adapter` }));
    expect(early).toMatchObject({ status: 404, code: 'adapter_not_found' });
    expect(early.message).toContain('is validating_files and has no adapter');
    expect(refusal(await download('/checkpoints/6/adapter'))).toMatchObject({ status: 404 });
    expect(refusal(await download('/checkpoints/five/adapter'))).toMatchObject({ status: 400, param: 'step' });
  });
});

describe('a result file', () => {
  it('is the adapter itself, which stays when the file is deleted', async () => {
    const { client } = service;
    const [id] = (await client.fineTuning.jobs.retrieve(jobId)).result_files;
    expect(await (await client.files.content(id!)).text()).toBe('{"r":8}');
    await client.files.delete(id!);
    expect((await download('/adapter/adapter_config.json')).body).toBe('{"r":8}');
  });
});

describe('the checkpoints', () => {
  it('are listed with their metrics and model names', async () => {
    const page = await service.client.fineTuning.jobs.checkpoints.list(jobId);
    expect(page.data).toMatchObject([
      {
        object: 'fine_tuning.job.checkpoint',
        step_number: 5,
        fine_tuning_job_id: jobId,
        fine_tuned_model_checkpoint: `${modelName}:ckpt-step-5`,
        metrics: { step: 5, train_loss: 1.5 },
      },
    ]);
    const body = (await download('/checkpoints')).json();
    expect([body.first_id, body.last_id, body.has_more]).toEqual([page.data[0]!.id, page.data[0]!.id, false]);
  });
});

describe('the event stream', () => {
  it('starts after the given event and ends with the job', async () => {
    const all = (await download('/events')).json().data;
    const response = await service.inject({ url: `/v1/fine_tuning/jobs/${jobId}/events?stream=true`, headers: { 'last-event-id': all[1].id } });
    expect(response.headers['content-type']).toContain('text/event-stream');
    const frames = ['retry: 1000', `id: ${all[0].id}\nevent: message\ndata: ${JSON.stringify(all[0])}`, 'event: done\ndata: [DONE]'];
    expect(response.body).toBe(frames.map((frame) => `${frame}\n\n`).join(''));
  });
});

describe('models', () => {
  it('include the base models of live workers and tuned models, and are found by their encoded names', async () => {
    const { client } = service;
    const ids = (await client.models.list()).data.map(({ id }) => id);
    expect(ids).toEqual(['graft-tiny', modelName]);
    expect(modelName).toMatch(/^ft:graft-tiny:graft:a b c:[0-9A-Za-z]{8}$/);
    expect(await client.models.retrieve(modelName)).toMatchObject({
      id: modelName,
      object: 'model',
      owned_by: 'graft',
      base_model: 'graft-tiny',
      tuning_type: 'lora',
    });
    expect(await client.models.retrieve(`${modelName}:ckpt-step-5`)).toMatchObject({ object: 'model' });
    await expect(client.models.retrieve('none')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });

  it('can be deleted with their adapter if they are tuned, but not if they are base models', async () => {
    const { client, services } = service;
    await expect(client.models.delete('graft-tiny')).rejects.toMatchObject({ status: 400, param: 'model' });
    expect(await client.models.delete(modelName)).toEqual({ id: modelName, object: 'model', deleted: true });
    await expect(client.models.retrieve(modelName)).rejects.toMatchObject({ status: 404 });
    expect(await services.objectStore.list(adapterFolder)).toEqual([]);
    expect((await client.fineTuning.jobs.retrieve(jobId)).status).toBe('succeeded');
  });
});
