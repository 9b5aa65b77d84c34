import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_PROJECT } from '../../src/ids.ts';
import { keys } from '../../src/object-store/keys.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
let training_file: string;
beforeAll(async () => {
  service = await runService();
  training_file = await service.upload();
});
afterAll(() => service.close());

const createJob = async (): Promise<string> => (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json().id;
const many = async <T>(count: number, make: () => Promise<T>): Promise<T[]> => {
  const made: T[] = [];
  for (let index = 0; index < count; index++) made.push(await make());
  return made;
};

/** A job with a tuned model, as a worker leaves it. @returns the model's name */
async function tunedModel(): Promise<string> {
  const id = await createJob();
  const fineTunedModel = `ft:graft-tiny:graft::${id.slice(-8)}`;
  await service.services.database.job.update({ where: { id }, data: { status: 'succeeded', fineTunedModel, finishedAt: new Date() } });
  return fineTunedModel;
}

describe('a list that is walked while each item is deleted', () => {
  it('of jobs › gives every job once', async () => {
    const ids = await many(5, createJob);
    const seen: string[] = [];
    for await (const job of service.client.fineTuning.jobs.list({ limit: 2 })) {
      seen.push(job.id);
      expect((await service.inject({ method: 'DELETE', url: `/v1/fine_tuning/jobs/${job.id}` })).statusCode).toBe(200);
    }
    expect(seen).toEqual(ids.toReversed());
  });

  it('of files, in both orders › gives every file once', async () => {
    for (const order of ['asc', 'desc'] as const) {
      const ids = await many(5, () => service.upload());
      const seen: string[] = [];
      for await (const file of service.client.files.list({ limit: 2, order, purpose: 'fine-tune' })) {
        if (file.id === training_file) continue;
        seen.push(file.id);
        await service.client.files.delete(file.id);
      }
      expect(seen).toEqual(order === 'asc' ? ids : ids.toReversed());
    }
  });

  it('of models › gives every model once, base models first', async () => {
    const names = await many(5, tunedModel);
    const seen: string[] = [];
    for (let after = ''; ; ) {
      const { data, has_more } = (await service.inject({ url: `/v1/models?limit=2${after}` })).json();
      for (const { id } of data) {
        seen.push(id);
        if (id.startsWith('ft:')) expect((await service.client.models.delete(id)).deleted).toBe(true);
      }
      if (!has_more) break;
      after = `&after=${encodeURIComponent(data.at(-1).id)}`;
    }
    expect(seen).toEqual(['graft-tiny', ...names.toReversed()]);
  });

  it('of checkpoints › gives every checkpoint once', async () => {
    const id = await createJob();
    const { jobs, jobRecord, retention } = service.services;
    const job = (await jobs.claim(id, 'worker-a'))!;
    for (const step of [1, 2, 3, 4, 5])
      await jobRecord.addCheckpoint(job, { step, folder: keys.newCheckpoint(id, job.attempt, step), metrics: { step }, files: [] });
    const seen: number[] = [];
    for await (const checkpoint of service.client.fineTuning.jobs.checkpoints.list(id, { limit: 2 })) {
      seen.push(checkpoint.step_number);
      await retention.thin(job, { steps: [checkpoint.step_number], message: 'removed' });
    }
    expect(seen).toEqual([5, 4, 3, 2, 1]);
  });
});

describe('a cursor', () => {
  it('of something that another owner deleted, or that never was › is refused', async () => {
    await service.services.database.file.create({
      data: { id: 'file-theirs', owner: 'theirs', filename: 'a', purpose: 'fine-tune', sizeBytes: 1, sha256: '', storageKey: 'files/file-theirs' },
    });
    await service.services.files.forget('file-theirs');
    for (const url of [
      '/v1/files?after=file-theirs',
      '/v1/files?after=file-none',
      '/v1/fine_tuning/jobs?after=ftjob-none',
      '/v1/models?after=ft%3Anone',
    ])
      expect(refusal(await service.inject({ url }))).toMatchObject({ status: 400, param: 'after' });
  });
});

describe('the list of models', () => {
  it('with 10,000 tuned models › is a page of a hundred, read from the index of tuned models', async () => {
    const { database } = service.services;
    await database.$executeRaw`
      INSERT INTO jobs (id, owner, model, training_file_id, seed, method, hyperparameters, tuning, status, fine_tuned_model, created_at)
      SELECT 'ftjob-many' || n, ${DEFAULT_PROJECT}, 'graft-tiny', 'file-x', 1, '{}', '{}', '{"type":"lora"}', 'succeeded', 'ft:graft-tiny:graft::many' || n,
        now() - make_interval(secs => n) FROM generate_series(1, 10000) AS n`;
    await database.$executeRaw`ANALYZE jobs`;
    const response = await service.inject({ url: '/v1/models' });
    expect(response.json()).toMatchObject({ has_more: true });
    expect(response.json().data).toHaveLength(100);
    expect(response.body.length).toBeLessThan(40_000);
    const scans = async () => database.$queryRaw<object[]>`SELECT 1 FROM pg_stat_user_indexes WHERE indexrelname = 'jobs_tuned_idx' AND idx_scan > 0`;
    await expect.poll(scans, { timeout: 10_000 }).toHaveLength(1); // Postgres counts with a delay
  });
});
