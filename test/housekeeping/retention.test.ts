import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Retention, readConfig } from '../../src/config.ts';
import { sweepExpired } from '../../src/housekeeping/retention.ts';
import { keys } from '../../src/object-store/keys.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';

const DAY_MS = 24 * 3_600_000;

let service: RunningService;
let training_file: string;
beforeAll(async () => {
  service = await runService();
  training_file = await service.upload();
});
afterAll(() => service.close());

const sweep = (policy: Partial<Retention>) => {
  const retention = { filesDays: null, checkpointsDays: null, jobsDays: null, ...policy };
  return sweepExpired({ ...service.services, config: { ...service.services.config, retention } });
};
const get = (id: string, path = '') => service.inject({ url: `/v1/fine_tuning/jobs/${id}${path}` });
const steps = async (id: string) => (await get(id, '/checkpoints')).json().data.map(({ step_number: step }: { step_number: number }) => step);
const newestEvent = async (id: string) => (await get(id, '/events')).json().data[0].message;
const daysFromNow = (seconds: number): number => (seconds * 1000 - Date.now()) / DAY_MS;

/** A job with two stored checkpoints that failed this many days ago. */
async function endedJob(daysAgo = 0): Promise<string> {
  const { jobs, jobRecord, objectStore, database } = service.services;
  const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json();
  const { attempt } = (await jobs.claim(id, 'worker-a'))!;
  await jobs.move(id, 'read', { attempt, patch: { resolved: { n_epochs: 1 } as never } });
  for (const step of [1, 2]) {
    const folder = keys.newCheckpoint(id, attempt, step);
    await objectStore.put(`${folder}trainer_state.json`, '{}');
    await jobRecord.addCheckpoint({ id, attempt }, { step, folder, metrics: { step }, files: [] });
  }
  await jobs.move(id, 'fail', { attempt });
  await database.job.update({ where: { id }, data: { finishedAt: new Date(Date.now() - daysAgo * DAY_MS) } });
  return id;
}

/** Lets the time come that was announced. */
const afterNotice = async (id: string) => {
  const { database } = service.services;
  await database.job.updateMany({ where: { id, expiresAt: { not: null } }, data: { expiresAt: new Date() } });
  await database.checkpoint.updateMany({ where: { jobId: id, expiresAt: { not: null } }, data: { expiresAt: new Date() } });
};

describe('checkpoints and jobs', () => {
  it('without a policy › are kept for ever', async () => {
    const id = await endedJob(10_000);
    await sweep({});
    expect((await get(id)).json()).not.toHaveProperty('expires_at');
    expect(await steps(id)).toEqual([2, 1]);
  });

  it('of a job that ended long before there was a policy › are shown a day before they go', async () => {
    const id = await endedJob(100);
    await sweep({ checkpointsDays: 30 });
    const [checkpoint] = (await get(id, '/checkpoints')).json().data;
    expect(daysFromNow(checkpoint.expires_at)).toBeCloseTo(1, 2);
    expect(await newestEvent(id)).toMatch(/^Its checkpoints will be removed on \d{4}-\d\d-\d\d: KEEP_CHECKPOINTS_DAYS is 30$/);
    await sweep({ checkpointsDays: 30 });
    expect((await get(id, '/checkpoints')).json().data[0].expires_at).toBe(checkpoint.expires_at);
    await afterNotice(id);
    await sweep({ checkpointsDays: 30 });
    expect(await steps(id)).toEqual([]);
    expect(await service.services.objectStore.list(keys.job(id))).toEqual([]);
    expect((await get(id)).json()).toMatchObject({ status: 'failed' });
  });

  it('have the date that the policy gives them, also when it changes, and none once there is no policy', async () => {
    const id = await endedJob(10);
    for (const [jobsDays, left] of [
      [30, 20],
      [60, 50],
      [11, 1],
    ] as const) {
      await sweep({ jobsDays });
      expect(daysFromNow((await get(id)).json().expires_at)).toBeCloseTo(left, 1);
    }
    await sweep({});
    expect((await get(id)).json()).not.toHaveProperty('expires_at');
  });

  it('of a failed job that is resumed in time › stay', async () => {
    const id = await endedJob(100);
    await sweep({ jobsDays: 30, checkpointsDays: 30 });
    await afterNotice(id);
    await service.post(`/v1/fine_tuning/jobs/${id}/resume`, {});
    await sweep({ jobsDays: 30, checkpointsDays: 30 });
    expect((await get(id)).json()).toMatchObject({ status: 'queued' });
    expect(await steps(id)).toEqual([2, 1]);
  });

  it('that have expired › go with all that the job made, but not with its dataset', async () => {
    const id = await endedJob(100);
    await sweep({ jobsDays: 30 });
    expect(await newestEvent(id)).toMatch(/^The job, with all that it made, will be removed on .*: KEEP_JOBS_DAYS is 30$/);
    await afterNotice(id);
    await sweep({ jobsDays: 30 });
    expect(refusal(await get(id))).toMatchObject({ code: 'fine_tune_not_found' });
    expect(await service.services.objectStore.list(keys.job(id))).toEqual([]);
    expect((await service.inject({ url: `/v1/files/${training_file}` })).statusCode).toBe(200);
  });
});

describe('uploaded files', () => {
  it('without a date of their own › get one from the policy, a day or more ahead', async () => {
    const id = await service.upload();
    await service.services.database.file.update({ where: { id }, data: { createdAt: new Date(Date.now() - 100 * DAY_MS) } });
    await sweep({ filesDays: 30 });
    expect(daysFromNow((await service.inject({ url: `/v1/files/${id}` })).json().expires_at)).toBeCloseTo(1, 2);
  });
});

describe('the policy', () => {
  it('keeps everything for ever unless it says otherwise, and takes only whole days', () => {
    expect(readConfig({}).retention).toEqual({ filesDays: null, checkpointsDays: null, jobsDays: null });
    expect(readConfig({ KEEP_JOBS_DAYS: '30' }).retention.jobsDays).toBe(30);
    expect(() => readConfig({ KEEP_CHECKPOINTS_DAYS: '0' })).toThrow('KEEP_CHECKPOINTS_DAYS is "0"; it must be a whole number from 1 to 36500');
  });
});
