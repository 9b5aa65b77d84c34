import type { Static } from 'typebox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobObject } from '../../src/jobs/schema.ts';
import { type AdvanceNeeds, advanceSweep, advanceSweeps } from '../../src/sweeps/advance.ts';
import { createSweep } from '../../src/sweeps/create.ts';
import type { SweepWithTrials } from '../../src/sweeps/schema.ts';
import { API_KEY, type RunningService, refusal, runService } from '../running-service.ts';

type Shown = Static<typeof SweepWithTrials>;
type Job = Static<typeof JobObject>;

let service: RunningService;
let base: { model: string; training_file: string; validation_file: string };
beforeAll(async () => {
  service = await runService();
  base = { model: 'graft-tiny', training_file: await service.upload(), validation_file: await service.upload('{"prompt":"c","completion":"d"}\n') };
});
afterAll(() => service.close());

const URL = '/v1/fine_tuning/sweeps';
const RATES = [1e-4, 1e-3];
const grid = { strategy: 'grid', parameters: { 'hyperparameters.learning_rate': RATES, 'tuning.r': [4, 8] } };
const post = (body: object) => service.post(URL, { base, ...body });
const made = async (body: object = { search: grid }): Promise<Shown> => {
  const response = await post(body);
  expect(response.statusCode, response.body).toBe(200);
  return response.json();
};
const found = async (id: string): Promise<Shown> => (await service.inject({ url: `${URL}/${id}` })).json();
const jobsOf = async (id: string): Promise<Job[]> => (await service.inject({ url: `/v1/fine_tuning/jobs?limit=100&sweep_id=${id}` })).json().data;
const act = (id: string, action: string) => service.inject({ method: 'POST', url: `${URL}/${id}/${action}` });
const round = () => advanceSweeps(service.services);

/** Trains a job as a worker does, with these losses on the validation file by step. @param end whether it succeeds at the last step */
async function train(id: string, losses: Record<number, number>, { totalSteps = 9, end = true } = {}): Promise<void> {
  const { jobs, jobRecord } = service.services;
  const job = (await jobs.claim(id, 'worker-test'))!;
  await jobs.begin(job, {
    read: { patch: { totalSteps, resolved: { batch_size: 1 } as never, facts: { training: { tokens: 30, examples: 3 } } } },
    start: {},
  });
  const steps = Object.entries(losses).map(([step, full_valid_loss]) => ({
    step: Number(step),
    metrics: { full_valid_loss, train_loss: 1, tokens: 10 },
  }));
  await jobRecord.addMetrics(job, steps);
  const step = steps.at(-1)!.step;
  if (end) await jobs.move(id, 'succeed', { attempt: job.attempt, patch: { step, trainedTokens: 10 * totalSteps } });
  else {
    await jobs.move(id, 'pause', { attempt: job.attempt, patch: { step } });
    await jobs.release(id, job.attempt);
  }
}

const idAt = (sweep: Shown, index: number): string => sweep.trials[index]!.job_id!;

describe('a grid', () => {
  it('makes a job of each combination, which differs from the base in the values alone, and names the one with the lowest loss', async () => {
    const sweep = await made({ search: grid, seed: 3, name: 'rates' });
    expect(sweep).toMatchObject({
      object: 'fine_tuning.sweep',
      status: 'running',
      name: 'rates',
      metric: 'full_valid_loss',
      mode: 'min',
      winner: null,
    });
    expect(sweep.trials.map(({ values }) => values)).toEqual(
      RATES.flatMap((rate) => [4, 8].map((r) => ({ 'hyperparameters.learning_rate': rate, 'tuning.r': r }))),
    );
    const jobs = (await jobsOf(sweep.id)).reverse();
    expect(jobs.map(({ id }) => id)).toEqual(sweep.trials.map(({ job_id: id }) => id));
    expect(jobs[2]).toMatchObject({ ...base, seed: 3, sweep_id: sweep.id, hyperparameters: { learning_rate: 1e-3 }, tuning: { type: 'lora', r: 4 } });

    for (const [index, loss] of [2, 1.5, 1.75, 3].entries()) await train(idAt(sweep, index), { 9: loss });
    await round();
    const over = await found(sweep.id);
    expect(over).toMatchObject({
      status: 'succeeded',
      winner: { index: 1, job_id: idAt(sweep, 1), value: 1.5 },
      jobs: { total: 4, ended: 4, succeeded: 4 },
    });
    expect(over.reason).toBe(
      'Job 1 (tuning.r 8, hyperparameters.learning_rate 0.0001) has the lowest full_valid_loss of 4 jobs that succeeded: 1.5000; the next is 1.7500, of job 2',
    );
    expect(over.trials[3]).toMatchObject({ status: 'succeeded', metric: { step: 9, value: 3 }, step: 9 });
  });

  it('whose jobs all fail has no winner', async () => {
    const sweep = await made({ search: { strategy: 'grid', parameters: { seed: [1] } } });
    await service.services.jobs.move(idAt(sweep, 0), 'fail', { patch: { error: { code: 'out_of_memory', message: 'Too large', param: null } } });
    await round();
    expect(await found(sweep.id)).toMatchObject({ status: 'failed', winner: null, trials: [{ error: { code: 'out_of_memory' } }] });
  });

  it('over what only a method that compares answers has › sets it in that method', async () => {
    const kto = { ...base, training_file: await service.upload('{"prompt":"a","completion":"b","label":true}\n'), method: { type: 'kto' } };
    const parameters = { 'hyperparameters.beta': [0.2, 0.4], 'hyperparameters.desirable_weight': [2] };
    const sweep = await made({ base: { ...kto, validation_file: kto.training_file }, search: { strategy: 'grid', parameters } });
    const methods = (await jobsOf(sweep.id)).map(({ method }) => method);
    expect(methods.reverse()).toMatchObject([0.2, 0.4].map((beta) => ({ type: 'kto', kto: { hyperparameters: { beta, desirable_weight: 2 } } })));
  });

  it('of whole tunings and of their fields applies the shorter path first', async () => {
    const parameters = { tuning: [{ type: 'lora', lora_alpha: 5 }], 'tuning.r': [3] };
    const [job] = await jobsOf((await made({ search: { strategy: 'grid', parameters } })).id);
    expect(job!.tuning).toMatchObject({ type: 'lora', r: 3, lora_alpha: 5 });
  });
});

describe('a random search', () => {
  const search = {
    strategy: 'random',
    parameters: { 'hyperparameters.learning_rate': { min: 1e-5, max: 1e-2, scale: 'log' }, 'tuning.r': { min: 2, max: 4, type: 'integer' } },
    n: 12,
  };

  it('draws different values within their ranges, and the same for the same seed', async () => {
    const [first, again] = [await made({ search, seed: 1 }), await made({ search, seed: 1 })];
    const values = first.trials.map((trial) => trial.values as Record<string, number>);
    expect(again.trials.map((trial) => trial.values)).toEqual(values);
    expect(new Set(values.map((one) => one['tuning.r']))).toEqual(new Set([2, 3, 4]));
    const rates = values.map((one) => one['hyperparameters.learning_rate']!);
    expect(rates.every((rate) => rate >= 1e-5 && rate <= 1e-2)).toBe(true);
    // Evenly in the logarithm: of evenly drawn ones, a tenth would be below a thousandth.
    expect(rates.filter((rate) => rate < 1e-3).length).toBeGreaterThan(4);
    for (const { id } of [first, again]) await act(id, 'cancel');
  });
});

describe('a sweep that is refused', () => {
  const parameters = grid.parameters;
  it.each([
    [
      'more than 1,000 jobs',
      { search: { strategy: 'grid', parameters: { 'tuning.r': Array(40).fill(4), seed: Array(40).fill(1) } } },
      'sweep_too_large',
      'search',
    ],
    ['more than 1,000 drawn jobs', { search: { strategy: 'random', parameters, n: 1001 } }, 'sweep_too_large', 'search'],
    ['more drawn jobs than combinations', { search: { strategy: 'random', parameters, n: 5 } }, 'invalid_value', 'search.n'],
    [
      'a range in a grid',
      { search: { strategy: 'grid', parameters: { 'tuning.r': { min: 1, max: 2 } } } },
      'invalid_value',
      'search.parameters.tuning.r',
    ],
    [
      'a value that its field refuses',
      { search: { strategy: 'grid', parameters: { 'tuning.r': [4, 0.5] } } },
      'invalid_type',
      'search.parameters.tuning.r',
    ],
    ['an unknown field', { search: { strategy: 'grid', parameters: { 'tuning.rank': [4] } } }, 'unknown_parameter', 'search.parameters.tuning.rank'],
    ['a path into a prototype', { search: { strategy: 'grid', parameters: { '__proto__.r': [4] } } }, 'invalid_value', undefined],
    ['a setting of another strategy', { search: { ...grid, eta: 3 } }, 'invalid_value', 'search.eta'],
    ['halving without its first step', { search: { strategy: 'successive_halving', parameters } }, 'missing_required_parameter', 'search.min_steps'],
    ['a metric that no job has', { search: grid, metric: 'valid_loss' }, 'invalid_value', 'metric'],
    ['an unknown evaluation', { search: grid, metric: 'eval_style' }, 'invalid_value', 'base.evaluations'],
  ])('for %s says where and why', async (_, body, code, param) => {
    expect(refusal(await post(body))).toMatchObject({ status: 400, code, ...(param !== undefined && { param }) });
  });

  it('without a validation file names it, and is accepted where its metric needs none', async () => {
    const { validation_file: _, ...without } = base;
    const body = { base: without, search: { strategy: 'grid', parameters: { seed: [1] } } };
    expect(refusal(await service.post(URL, body))).toMatchObject({ code: 'missing_required_parameter', param: 'base.validation_file' });
    expect((await service.post(URL, { ...body, metric: 'train_loss' })).statusCode).toBe(200);
  });
});

describe('a sweep whose process is killed, or that two processes advance', () => {
  /** The needs of a process that dies as it creates the job after the first `count`. */
  const dyingAfter = (count: number): AdvanceNeeds => {
    let left = count;
    const { jobs } = service.services;
    const create: typeof jobs.create = async (...args) => {
      if (left-- === 0) throw new Error('killed');
      return jobs.create(...args);
    };
    return { ...service.services, jobs: { ...jobs, create } };
  };

  it('and whose request is sent again › is the first one', async () => {
    const body = { base, search: { strategy: 'grid' as const, parameters: { seed: [1, 2] } } };
    const request = { body, bodyText: JSON.stringify(body), claim: 'the same', parseJob: (job: unknown) => job as never };
    const send = () => createSweep({ organization: 'graft', project: 'graft' }, request, service.services);
    const [first, again] = [await send(), await send()];
    expect(again).toMatchObject({ id: first.id, seed: first.seed, created: 2 });
    expect(await jobsOf(first.id)).toHaveLength(2);
    await act(first.id, 'cancel');
  });

  it('has each of its jobs once', async () => {
    const { sweeps } = service.services;
    const request = JSON.stringify({ base, search: grid });
    const trials = [1, 2, 3, 4, 5].map((seed) => ({ seed }));
    const sweep = await sweeps.create('graft', { id: 'ftsweep-killed', organization: 'graft', request, seed: 1, trials });
    await expect(advanceSweep(sweep, dyingAfter(2))).rejects.toThrow('killed');
    expect((await found(sweep.id)).trials.map(({ status }) => status)).toEqual([
      'validating_files',
      'validating_files',
      'pending',
      'pending',
      'pending',
    ]);
    await Promise.all([round(), round(), advanceSweep(sweep, service.services)]);
    await round();
    const jobs = await jobsOf(sweep.id);
    expect(jobs.map(({ seed }) => seed).sort()).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('the limits of a project and of a sweep', () => {
  it('hold up the next job, which is created when there is room', async () => {
    const project = await service.services.projects.create('graft', { name: 'Small' });
    const headers = { 'openai-project': project.id };
    const inProject = (body: object, url: string) =>
      service.inject({ method: 'POST', url, headers: { ...headers, 'content-type': 'application/json' }, payload: JSON.stringify(body) });
    await service.services.database.project.update({ where: { id: project.id }, data: { maxQueuedJobs: 2 } });
    const file = await service.client.files.create(
      { file: new File(['{"prompt":"a","completion":"b"}\n'], 'a.jsonl'), purpose: 'fine-tune' },
      { headers },
    );
    const body = {
      base: { model: 'graft-tiny', training_file: file.id },
      metric: 'train_loss',
      search: { strategy: 'grid', parameters: { seed: [1, 2, 3] } },
    };
    const sweep: Shown = (await inProject(body, URL)).json();
    expect(sweep).toMatchObject({ jobs: { total: 3, created: 2 }, waiting_for: expect.stringMatching(/its limit is 2/) });
    await inProject({}, `/v1/fine_tuning/jobs/${idAt(sweep, 0)}/cancel`);
    await round();
    const shown: Shown = (await service.inject({ url: `${URL}/${sweep.id}`, headers })).json();
    expect(shown).toMatchObject({ jobs: { created: 3 }, waiting_for: null });
  });

  it('are a budget of steps: no job begins above it, and the others say so', async () => {
    const sweep = await made({ search: { strategy: 'grid', parameters: { seed: [1, 2, 3] } }, budget: { steps: 10 } });
    expect(sweep.trials.map(({ status }) => status)).toEqual(['validating_files', 'pending', 'pending']);
    await train(idAt(sweep, 0), { 9: 1 });
    await round();
    await train(idAt(await found(sweep.id), 1), { 9: 2 });
    await round();
    const over = await found(sweep.id);
    expect(over).toMatchObject({
      status: 'succeeded',
      winner: { index: 0 },
      trials: [{}, { status: 'succeeded' }, { status: 'not_started', job_id: null }],
    });
    expect(over.reason).toMatch(/The budget of 10 steps is used up, so 1 job of 3 did not begin/);
  });

  it('are a budget of tokens, which counts what a job is going to train on', async () => {
    const sweep = await made({ search: { strategy: 'grid', parameters: { seed: [1, 2] } }, budget: { tokens: 90 } });
    await train(idAt(sweep, 0), { 1: 1 }, { end: false });
    await round();
    expect(await found(sweep.id)).toMatchObject({ jobs: { created: 1 }, waiting_for: 'The budget of 90 tokens is used up' });
    await act(sweep.id, 'cancel');
  });
});

describe('successive halving', () => {
  it('compares at each step, stops the worse and lets the better train on, once even if two processes decide', async () => {
    const search = { strategy: 'successive_halving', parameters: { seed: [1, 2, 3, 4] }, eta: 2, min_steps: 2 };
    const sweep = await made({ search });
    const losses = [4, 1, 3, 2];
    for (const [index, loss] of losses.slice(0, 3).entries()) await train(idAt(sweep, index), { 2: loss }, { end: false });
    await round();
    expect((await found(sweep.id)).rungs).toEqual([]); // one has not reached the step
    await train(idAt(sweep, 3), { 2: 2 }, { end: false });
    await Promise.all([round(), round()]);
    expect((await found(sweep.id)).rungs).toEqual([
      {
        step: 2,
        kept: [1, 3],
        stopped: [
          { index: 2, value: 3 },
          { index: 0, value: 4 },
        ],
      },
    ]);
    const events = (await service.inject({ url: `/v1/fine_tuning/jobs/${idAt(sweep, 0)}/events` }))
      .json()
      .data.map(({ message }: { message: string }) => message);
    expect(events.filter((message: string) => message.startsWith('The sweep'))).toEqual([
      'The sweep stops the job: full_valid_loss 4.0000, place 4 of 4 at step 2, and the best 2 train on',
    ]);
    expect((await service.services.jobs.findAny(idAt(sweep, 1)))!).toMatchObject({ status: 'queued', pauseAtStep: 4 });

    await train(idAt(sweep, 1), { 4: 0.9 }, { end: false });
    await train(idAt(sweep, 3), { 4: 0.5 }, { end: false });
    await round();
    expect((await service.services.jobs.findAny(idAt(sweep, 3)))!).toMatchObject({ status: 'queued', pauseAtStep: null });
    await train(idAt(sweep, 3), { 9: 0.25 });
    await round();
    expect(await found(sweep.id)).toMatchObject({ status: 'succeeded', winner: { index: 3, value: 0.25 }, rungs: [{}, { step: 4, kept: [3] }] });
  });
});

describe('a sweep of one project', () => {
  it('is paged, cancelled and deleted with its jobs, and another project sees nothing of it', async () => {
    const sweep = await made();
    const other = await service.services.projects.create('graft', { name: 'Other' });
    const headers = { authorization: `Bearer ${API_KEY}`, 'openai-project': other.id };
    for (const [method, url] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/cancel'],
    ] as const)
      expect(refusal(await service.inject({ method, url: `${URL}/${sweep.id}${url}`, headers }))).toMatchObject({
        status: 404,
        code: 'sweep_not_found',
      });
    expect((await service.inject({ url: `/v1/fine_tuning/jobs?sweep_id=${sweep.id}`, headers })).json().data).toEqual([]);

    const page = (await service.inject({ url: `${URL}?limit=1` })).json();
    expect(page).toMatchObject({ data: [{ id: sweep.id, jobs: { total: 4, ended: 0 } }], has_more: true, first_id: sweep.id, last_id: sweep.id });
    expect((await service.inject({ url: `${URL}?limit=1&after=${sweep.id}` })).json().data[0].id).not.toBe(sweep.id);

    await train(idAt(sweep, 0), { 9: 1 });
    expect((await act(sweep.id, 'cancel')).json()).toMatchObject({ status: 'cancelled', winner: null, finished_at: expect.any(Number) });
    expect((await act(sweep.id, 'cancel')).statusCode).toBe(200);
    expect((await found(sweep.id)).trials.map(({ status }) => status)).toEqual(['succeeded', 'cancelled', 'cancelled', 'cancelled']);

    expect((await service.inject({ method: 'DELETE', url: `${URL}/${sweep.id}` })).json()).toEqual({
      id: sweep.id,
      object: 'fine_tuning.sweep',
      deleted: true,
    });
    expect(await service.services.jobs.findAny(idAt(sweep, 0))).toBeNull();
    expect(refusal(await service.inject({ url: `${URL}/${sweep.id}` }))).toMatchObject({ status: 404, code: 'sweep_not_found' });
    expect((await service.inject({ url: `${URL}?limit=1&after=${sweep.id}` })).statusCode).toBe(200);
  });

  it('is deleted without its winner where that is asked for', async () => {
    const sweep = await made({ search: { strategy: 'grid', parameters: { seed: [1, 2] } } });
    for (const [index, loss] of [2, 1].entries()) await train(idAt(sweep, index), { 9: loss });
    await round();
    await service.inject({ method: 'DELETE', url: `${URL}/${sweep.id}?keep_winner=true` });
    expect(await service.services.jobs.findAny(idAt(sweep, 0))).toBeNull();
    expect(await service.services.jobs.findAny(idAt(sweep, 1))).toMatchObject({ status: 'succeeded', sweepId: null });
  });
});
