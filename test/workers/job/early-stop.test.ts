import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refusal } from '../../running-service.ts';
import { superviseJobs, WEIGHTS } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
beforeAll(async () => {
  jobs = await superviseJobs();
});
afterAll(() => jobs?.close());

const ASKED = { batch_size: 4, learning_rate: 0.05, precision: 'f32', early_stopping_patience: 2, load_best_model_at_end: true };

/** Texts that training on the dataset makes less probable, after a while. */
const LINES = [{ text: 'by the roots of one branch' }, { text: 'an old tree in the garden', weight: 0.5 }];
const validation = () => jobs.service.upload(LINES.map((line) => JSON.stringify(line)).join('\n'));

describe('a job with early stopping and the best model at the end', () => {
  it('succeeds before its last step, says when and why, and delivers and proves the best checkpoint', async () => {
    const method = { type: 'supervised', supervised: { hyperparameters: { ...ASKED, n_epochs: 30, eval_steps: 2 } } };
    const id = await jobs.makeJob({ method, validation_file: await validation() });
    await jobs.supervise(id);
    const get = async (path: string) => (await jobs.get(id, path)).json();
    const job = await get('');
    expect(job).toMatchObject({ status: 'succeeded', error: null, step: job.total_steps });
    expect(job.total_steps).toBeLessThan(60);
    const messages = ((await get('/events?limit=100')).data as { message: string }[]).map(({ message }) => message);
    expect(messages).toContainEqual(
      expect.stringMatching(new RegExp(`^Stopped early after step ${job.total_steps} of 60: full_valid_loss has not improved`)),
    );
    const best = Number(messages.join('\n').match(/The delivered model is that of step (\d+), the best of/)![1]);
    expect(await get('/proof')).toMatchObject({ passed: true });
    expect(await get('/lineage')).toMatchObject({ step: best, total_steps: 60 });
    const { objectStore } = jobs.service.services;
    const ofBest = await buffer(await objectStore.get(`${await jobs.checkpointFolder(id, best)}adapter/${WEIGHTS}`));
    expect((await jobs.weights(id)).equals(ofBest)).toBe(true);
    const results = await jobs.service.services.jobRecord.metrics(id);
    expect(results).toHaveLength(job.total_steps);
  });

  it('without a validation file › is refused at once, by name', async () => {
    const method = { type: 'supervised', supervised: { hyperparameters: ASKED } };
    const body = { model: 'graft-tiny', training_file: await validation(), method };
    expect(refusal(await jobs.service.post('/v1/fine_tuning/jobs', body))).toMatchObject({
      status: 400,
      param: 'method.supervised.hyperparameters.early_stopping_patience',
    });
  });
});
