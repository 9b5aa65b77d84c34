import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainLacks } from '../../src/jobs/lacks.ts';
import { openReconciler } from '../../src/jobs/reconcile.ts';
import { type RunningService, runService } from '../running-service.ts';
import { newJob } from './new-job.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service?.close());

const OWNER = 'graft';
const make = async (fields: object) => (await service.services.jobs.create(OWNER, newJob(fields))).job.id;
const shown = async (id: string) => (await service.inject({ url: `/v1/fine_tuning/jobs/${id}` })).json();
const warnings = async (id: string) =>
  (await service.services.jobRecord.events(OWNER, id, { limit: 100 })).data.filter(({ level }) => level === 'warn').map(({ message }) => message);
const other = { id: 'worker-b', hostname: 'there', device: 'CPU' };
const gone = { id: 'gone', family: 'llama', parameters: 1, sizeBytes: 1, revision: null };

describe('a job that no worker can take', () => {
  it('says why, once and in the job, until a worker can', async () => {
    const { models, jobs } = service.services;
    const explain = explainLacks(service.services, 0);
    const [unlucky, waiting] = [await make({ model: 'gone' }), await make({})];
    for (let round = 0; round < 3; round++) await explain();
    expect(await shown(unlucky)).toMatchObject({ status: 'validating_files', waiting_for: 'base_model' });
    expect(await warnings(unlucky)).toEqual([expect.stringMatching(/No running worker has the base model.*"gone".*graft-tiny/)]);
    expect(await shown(waiting)).toMatchObject({ waiting_for: null });

    await models.announce(other, [gone]);
    await explain();
    expect(await shown(unlucky)).toMatchObject({ waiting_for: null });
    expect(await warnings(unlucky)).toHaveLength(1);
    await models.removeWorker(other.id);
    for (const id of [unlucky, waiting]) await jobs.move(id, 'cancel');
  });

  it('is silent while its worker may only be starting, and says so when no worker is running', async () => {
    const { jobs } = service.services;
    const id = await make({});
    await service.worker.remove();
    await explainLacks(service.services)();
    expect(await shown(id)).toMatchObject({ waiting_for: null });
    await explainLacks(service.services, 0)();
    expect(await shown(id)).toMatchObject({ waiting_for: 'worker' });
    await service.worker.announce();
    await jobs.move(id, 'cancel');
  });

  it('does not hold up a newer one, even with a thousand others', async () => {
    const { jobs, queue, database } = service.services;
    const template = await make({ model: 'gone' });
    await database.$executeRaw`
      INSERT INTO jobs (id, owner, model, training_file_id, seed, method, hyperparameters, tuning, created_at)
      SELECT 'ftjob-old-' || n, owner, model, training_file_id, seed, method, hyperparameters, tuning, now() - interval '1 day'
      FROM jobs, generate_series(1, 1200) AS n WHERE id = ${template}`;
    const newer = await make({});
    await openReconciler(service.services).reconcile();
    const woken: string[] = [];
    const consumer = queue.consume(async (id) => void woken.push(id), { concurrency: 1 });
    await expect.poll(() => woken.length, { timeout: 10_000 }).toBe(2);
    await consumer.close();
    expect(woken).toContain(newer);
    // Of those on the missing model one is tried, should a worker have it unannounced.
    expect(woken.filter((id) => id !== newer)).toHaveLength(1);
    await database.$executeRaw`DELETE FROM jobs WHERE id LIKE 'ftjob-old-%'`;
    for (const id of [template, newer]) await jobs.move(id, 'cancel');
  });
});
