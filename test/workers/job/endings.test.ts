import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/formats/refusal.ts';
import { fail, giveBack } from '../../../workers/job/endings.ts';
import { type RunningService, runService } from '../../running-service.ts';

let service: RunningService;
let training_file: string;
beforeAll(async () => {
  service = await runService();
  training_file = await service.upload();
});
afterAll(() => service.close());

async function claimedJob() {
  const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json();
  return (await service.services.jobs.claim(id, 'worker-a'))!;
}

const ending = (job: Awaited<ReturnType<typeof claimedJob>>) => ({ services: service.services, job, log: service.services.log });
const get = async (id: string, path = '') => (await service.inject({ url: `/v1/fine_tuning/jobs/${id}${path}` })).json();

describe('fail', () => {
  it('with a NUL and a lone surrogate in the text › records the error with both visible', async () => {
    const job = await claimedJob();
    await fail(ending(job), new Refusal('corrupt_model_file', 'The tensor "a\0\ud83d" is cut off', { param: 'model' }));
    const message = 'The tensor "a\\u0000\\ud83d" is cut off';
    expect(await get(job.id)).toMatchObject({ status: 'failed', error: { code: 'corrupt_model_file', message, param: 'model' } });
    expect((await get(job.id, '/events')).data[0]).toMatchObject({ level: 'error', message: `The job failed: ${message}` });
  });

  it('with an error that the database refuses › records it in plain ASCII at once', async () => {
    const job = await claimedJob();
    const { jobs, database } = service.services;
    let tries = 0;
    const move: typeof jobs.move = async (...args) => {
      tries += 1;
      if (tries === 1) await database.$executeRaw`UPDATE jobs SET error = ${'{"a": "\\u0000"}'}::jsonb`;
      return jobs.move(...args);
    };
    const ended = ending(job);
    await fail(
      { ...ended, services: { ...ended.services, jobs: { ...jobs, move } } },
      new Refusal('corrupt_model_file', `The Grüße "🌱" ${'x'.repeat(5000)}`),
    );
    const { status, error } = await get(job.id);
    expect({ status, code: error.code }).toEqual({ status: 'failed', code: 'corrupt_model_file' });
    expect(error.message).toMatch(/^The Gr\?e "\?" x+$/);
    expect(error.message.length).toBeLessThanOrEqual(2000);
  });

  it('on a cancelled job › changes nothing', async () => {
    const job = await claimedJob();
    await service.post(`/v1/fine_tuning/jobs/${job.id}/cancel`, {});
    await fail(ending(job), new Refusal('out_of_memory', 'It is too large'));
    expect(await get(job.id)).toMatchObject({ status: 'cancelled', error: null });
    expect((await get(job.id, '/events')).data[0].message).toBe('The job has been cancelled');
  });
});

describe('fail and giveBack', () => {
  it('of a worker that slept while the job went back to the queue › change nothing', async () => {
    const job = await claimedJob();
    const { jobs } = service.services;
    for (const move of ['read', 'start', 'requeue'] as const) await jobs.move(job.id, move);
    await fail(ending(job), new Refusal('out_of_memory', 'It is too large'));
    await giveBack(ending(job));
    expect(await jobs.findAny(job.id)).toMatchObject({ status: 'queued', error: null, attempt: 1 });
    expect((await get(job.id, '/events')).data).toHaveLength(2);
  });
});

describe('giveBack', () => {
  it('before the data has been read › releases the job at once', async () => {
    const job = await claimedJob();
    await giveBack(ending(job));
    expect(await service.services.jobs.findAny(job.id)).toMatchObject({ status: 'validating_files', workerId: null, heartbeatAt: null });
  });

  it('on a running job › puts it back into the queue and records an event', async () => {
    const job = await claimedJob();
    for (const move of ['read', 'start'] as const) await service.services.jobs.move(job.id, move);
    await giveBack(ending(job));
    expect(await service.services.jobs.findAny(job.id)).toMatchObject({ status: 'queued', workerId: null, heartbeatAt: null });
    expect((await get(job.id, '/events')).data[0].message).toMatch(/^The worker stops/);
  });
});
