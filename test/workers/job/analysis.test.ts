import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example, sameAnswer } from '../../journey/dataset.ts';
import { refusal } from '../../running-service.ts';
import { superviseJobs } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
beforeAll(async () => {
  jobs = await superviseJobs();
});
afterAll(() => jobs.close());

const retrieve = async (id: string) => (await jobs.get(id)).json();
const warnings = async (id: string): Promise<string[]> => {
  const { data } = (await jobs.get(id, '/events?limit=100')).json();
  return data.filter(({ level }: { level: string }) => level === 'warn').map(({ message }: { message: string }) => message);
};
const UNMEASURED = expect.stringContaining('What training changed could not be measured');

describe('a job with an analysis', () => {
  it('has it before it succeeds, and loses it when it is deleted', async () => {
    const retention_file = await jobs.service.upload(example('Question 200?', 'four five') + example('Question 201?', 'six'));
    const validation_file = await jobs.service.upload(sameAnswer(2, 300));
    const id = await jobs.makeJob({ analysis: true, retention_file, validation_file });
    expect(await retrieve(id)).toMatchObject({ analysis: true, retention_file });
    expect(refusal(await jobs.get(id, '/analysis'))).toMatchObject({
      status: 404,
      code: 'report_not_found',
      message: expect.stringContaining('created with `analysis: true`'),
    });
    await jobs.supervise(id);

    expect(await retrieve(id)).toMatchObject({ status: 'succeeded', error: null });
    const { forgetting, change, ...analysis } = (await jobs.get(id, '/analysis')).json();
    expect(analysis).toMatchObject({ object: 'fine_tuning.job.analysis', no_change: null });
    expect(analysis.trained_share).toBeCloseTo(analysis.trained_parameters / analysis.total_parameters, 12);
    expect(forgetting).toMatchObject({ measured_on: 'retention_file', examples: 2 });
    expect(forgetting.rise).toBeCloseTo(forgetting.after - forgetting.before, 12);
    expect(change.weights).toHaveLength(14); // seven layers in each of two blocks
    expect(change.weights[0]).toMatchObject({ layer: 0, spectrum: { singular_values: expect.any(Array), error: 0 } });
    expect(change.weights[0].spectrum.singular_values).toHaveLength(4); // the rank
    expect(change.kinds.map(({ kind }: { kind: string }) => kind)).toContain('q_proj');
    expect(await warnings(id)).not.toContainEqual(UNMEASURED);

    await jobs.service.inject({ method: 'DELETE', url: `/v1/fine_tuning/jobs/${id}` });
    expect(await jobs.service.services.database.jobReport.count({ where: { jobId: id } })).toBe(0);
  });

  it('whose method learns from preferences › is measured on texts that the base writes', async () => {
    const pair = (answer: string) => ({
      input: { messages: [{ role: 'user', content: 'Who?' }] },
      preferred_output: said(answer),
      non_preferred_output: said('no'),
    });
    const said = (content: string) => [{ role: 'assistant', content }];
    const training_file = await jobs.service.upload(['one', 'two', 'three', 'four'].map((answer) => `${JSON.stringify(pair(answer))}\n`).join(''));
    const method = { type: 'dpo', dpo: { hyperparameters: { n_epochs: 1, batch_size: 2, learning_rate: 0.01 } } };
    const id = await jobs.makeJob({ analysis: true, training_file, method });
    await jobs.supervise(id);
    expect((await jobs.get(id, '/analysis')).json()).toMatchObject({
      forgetting: { measured_on: 'samples', examples: 32, rise: expect.any(Number) },
    });
  });

  it('that cannot be made › succeeds, and an event says why', async () => {
    const retention_file = await jobs.service.upload(example('word '.repeat(500), 'beyond the context'));
    const id = await jobs.makeJob({ analysis: true, retention_file });
    await jobs.supervise(id);
    expect(await retrieve(id)).toMatchObject({ status: 'succeeded', error: null });
    expect(await warnings(id)).toContainEqual(UNMEASURED);
    expect(refusal(await jobs.get(id, '/analysis'))).toMatchObject({ status: 404, message: expect.stringContaining('an event of the job says why') });
  });

  it('whose process is killed while it measures › succeeds, and an event says so', async () => {
    const id = await jobs.makeJob({ analysis: true });
    const takeProcess = jobs.takeProcessWith((training) => ({
      analyse(files) {
        void training.kill();
        return training.analyse(files);
      },
    }));
    await jobs.supervise(id, { takeProcess });
    expect(await retrieve(id)).toMatchObject({ status: 'succeeded', error: null });
    expect(await warnings(id)).toContainEqual(expect.stringMatching(/could not be measured: The training process died/));
  });

  it('whose worker stops while it measures › is measured by the next worker', async () => {
    const id = await jobs.makeJob({ analysis: true });
    const stopping = new AbortController();
    const takeProcess = jobs.takeProcessWith((training) => ({
      analyse(files) {
        stopping.abort();
        return training.analyse(files);
      },
    }));
    await jobs.supervise(id, { takeProcess, stopping: stopping.signal });
    expect(await retrieve(id)).toMatchObject({ status: 'queued' });
    expect((await jobs.get(id, '/analysis')).statusCode).toBe(404);
    await jobs.supervise(id);
    expect(await retrieve(id)).toMatchObject({ status: 'succeeded' });
    expect((await jobs.get(id, '/analysis')).json()).toMatchObject({ forgetting: { measured_on: 'samples' } });
  });

  it.each([
    ['a retention file without an analysis', { retention_file: 'file-none' }, 'invalid_value', 'does nothing without analysis'],
    ['an unknown retention file', { analysis: true, retention_file: 'file-none' }, 'invalid_retention_file', 'There is no file'],
  ])('is refused with %s', async (_, fields, code, message) => {
    const training_file = await jobs.service.upload(sameAnswer(1));
    const answer = await jobs.service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file, ...fields });
    expect(refusal(answer)).toMatchObject({ status: 400, code, param: 'retention_file', message: expect.stringContaining(message) });
  });
});
