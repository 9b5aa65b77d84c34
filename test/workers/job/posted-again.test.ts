import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refusal } from '../../running-service.ts';
import { superviseJobs } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
beforeAll(async () => {
  jobs = await superviseJobs();
});
afterAll(() => jobs.close());

const TEMPLATE = "{% for message in messages %}{{ message['content'] }}{{ eos_token }}{% endfor %}";
const show = async (id: string) => (await jobs.get(id)).json();
const post = (body: object) => jobs.service.post('/v1/fine_tuning/jobs', body);
/** What a request decides. */
const choices = ({
  model,
  training_file,
  validation_file,
  suffix,
  seed,
  method,
  tuning,
  metadata,
  priority,
  integrations,
}: Record<string, unknown>) => ({
  ...{ model, training_file, validation_file, suffix, seed, method, tuning, metadata, priority, integrations },
});

describe('a job as it is shown', () => {
  const supervised = (hyperparameters: object) => ({
    method: { type: 'supervised', supervised: { hyperparameters, chat_template: TEMPLATE } },
  });

  it.each([
    ['with its choices made', { n_epochs: 3, batch_size: 8, warmup_steps: 1 }, { type: 'lora', r: 4 }],
    ['tuned in full, with a multiplier', { n_epochs: 3, batch_size: 8, learning_rate_multiplier: 3 }, { type: 'full' }],
  ])('%s › is a request for the same job, which gives the same weights', async (_, hyperparameters, tuning) => {
    const fields = { suffix: 'Prüfung 1', metadata: { team: 'a' }, validation_file: await jobs.service.upload() };
    const id = await jobs.makeJob({ ...fields, ...supervised(hyperparameters), tuning, ...(tuning.type === 'full' && { seed: 9 }) });
    const before = await show(id);
    const untrained = await post(before);
    expect(untrained.statusCode, untrained.body).toBe(200);
    await jobs.supervise(id);
    const shown = await show(id);
    expect(shown).toMatchObject({ status: 'succeeded', error: null, suffix: 'Prüfung 1', step: 3, total_steps: 3 });
    expect(shown.method.supervised.hyperparameters).toMatchObject(hyperparameters);

    const again = await post(shown);
    expect(again.statusCode, again.body).toBe(200);
    expect(again.json().id).not.toBe(id);
    expect(choices(again.json())).toEqual(choices(shown));
    await jobs.supervise(again.json().id);
    expect((await show(again.json().id)).status).toBe('succeeded');
    if (tuning.type === 'lora') expect((await jobs.weights(again.json().id)).equals(await jobs.weights(id))).toBe(true);

    // Its parts are values of a request too.
    const parts = await post({
      model: shown.model,
      training_file: shown.training_file,
      method: shown.method,
      tuning: shown.tuning,
      suffix: shown.suffix,
    });
    expect(parts.statusCode, parts.body).toBe(200);
  });

  it('says by its object that it is one: otherwise what would have no effect is refused', async () => {
    const shown = await show(await jobs.makeJob());
    expect(refusal(await post({ ...shown, object: undefined }))).toMatchObject({ status: 400, code: 'unknown_parameter' });
    expect(refusal(await post({ ...shown, modle: 'x' }))).toMatchObject({ status: 400, param: 'modle' });
  });
});
