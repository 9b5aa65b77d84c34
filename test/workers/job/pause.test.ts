import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keys } from '../../../src/object-store/keys.ts';
import { sameAnswer } from '../../journey/dataset.ts';
import { superviseJobs } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
/** Of many steps: the worker learns of a pause a second later. */
let long: object;
beforeAll(async () => {
  jobs = await superviseJobs();
  const training_file = await jobs.service.upload(sameAnswer(240));
  long = { training_file, hyperparameters: { n_epochs: 1, batch_size: 4, learning_rate: 0.01 } };
});
afterAll(() => jobs?.close());

const act = (id: string, action: string) => jobs.service.post(`/v1/fine_tuning/jobs/${id}/${action}`, {});
const found = async (id: string) => (await jobs.service.services.jobs.findAny(id))!;
const messages = async (id: string) => (await jobs.get(id, '/events?limit=100')).json().data.map(({ message }: { message: string }) => message);

/** A training process whose job is disturbed as soon as it has done this step. */
const afterStep = (step: number, disturb: () => Promise<unknown>) =>
  jobs.takeProcessWith((training) => ({
    async *train(options) {
      for await (const answer of training.train(options)) {
        yield answer;
        if (answer.answer !== 'step' || answer.report.step !== step) continue;
        await disturb();
      }
    },
  }));

describe('a job that is paused', () => {
  it('while it trains › writes a checkpoint, frees its slot, and is resumed to the same bytes', async () => {
    const id = await jobs.makeJob(long);
    await jobs.supervise(id, { takeProcess: afterStep(1, () => act(id, 'pause')) });
    expect(await found(id)).toMatchObject({ status: 'paused', workerId: null });
    const { step } = (await jobs.service.services.jobRecord.newestCheckpoint(id))!;
    expect(step).toBeGreaterThan(0);
    expect((await messages(id))[0]).toMatch(/^The worker has stopped/);
    expect((await act(id, 'resume')).json()).toMatchObject({ status: 'queued' });
    await jobs.supervise(id);
    expect(await found(id)).toMatchObject({ status: 'succeeded', attempt: 2 });
    expect(await messages(id)).toContain(`Fine-tuning job resumed after step ${step}`);
    const undisturbed = await jobs.makeJob(long);
    await jobs.supervise(undisturbed);
    expect(await jobs.weights(id)).toEqual(await jobs.weights(undisturbed));
  });
});

describe('a job that failed', () => {
  it('is resumed from its newest checkpoint, to the same bytes', async () => {
    const id = await jobs.makeJob();
    const error = { code: 'out_of_memory', message: 'It is too large', param: null, hint: null };
    const takeProcess = jobs.takeProcessWith((training) => ({
      async *train(options) {
        for await (const answer of training.train(options)) {
          yield answer;
          if (answer.answer === 'checkpoint') return yield { id, answer: 'failed', error };
        }
      },
    }));
    await jobs.supervise(id, { takeProcess });
    expect(await found(id)).toMatchObject({ status: 'failed', error: { code: 'out_of_memory' } });
    expect((await act(id, 'resume')).json()).toMatchObject({ status: 'queued', error: null });
    await jobs.supervise(id);
    expect(await found(id)).toMatchObject({ status: 'succeeded', attempt: 2 });
    expect(await messages(id)).toContain('Fine-tuning job resumed after step 2');
    expect(await jobs.weights(id)).toEqual(await jobs.undisturbed());
  });
});

describe('a job that is deleted', () => {
  it('while it trains › frees its slot and leaves nothing', async () => {
    const { services, inject } = jobs.service;
    const id = await jobs.makeJob(long);
    const remove = async () => expect((await inject({ method: 'DELETE', url: `/v1/fine_tuning/jobs/${id}` })).statusCode).toBe(200);
    await jobs.supervise(id, { takeProcess: afterStep(1, remove) });
    expect(await services.jobs.findAny(id)).toBeNull();
    for (const rows of [services.database.jobEvent, services.database.stepMetric, services.database.checkpoint])
      expect(await (rows.count as (query: object) => Promise<number>)({ where: { jobId: id } })).toBe(0);
    expect(await services.objectStore.list(keys.job(id))).toEqual([]);
    expect(existsSync(join(services.config.dataDir, 'tokens', id))).toBe(false);
  });
});
