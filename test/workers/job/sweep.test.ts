import type { Static } from 'typebox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { advanceSweeps } from '../../../src/sweeps/advance.ts';
import type { SweepWithTrials } from '../../../src/sweeps/schema.ts';
import { sameAnswer } from '../../journey/dataset.ts';
import { superviseJobs } from './supervised-jobs.ts';

type Shown = Static<typeof SweepWithTrials>;

/** In bf16, which is the choice of some machines, steps of 1e-6 are lost in rounding, and then there is nothing to prove. */
const HYPERPARAMETERS = { n_epochs: 3, batch_size: 4, precision: 'f32' };

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let base: object;
beforeAll(async () => {
  jobs = await superviseJobs();
  const [training_file, validation_file] = [await jobs.service.upload(sameAnswer(8)), await jobs.service.upload(sameAnswer(4, 100))];
  base = { model: 'graft-tiny', training_file, validation_file, hyperparameters: HYPERPARAMETERS, seed: 5, tuning: { type: 'lora', r: 4 } };
});
afterAll(() => jobs?.close());

const found = async (id: string): Promise<Shown> => (await jobs.service.inject({ url: `/v1/fine_tuning/sweeps/${id}` })).json();
const create = async (search: object): Promise<Shown> => (await jobs.service.post('/v1/fine_tuning/sweeps', { base, search })).json();

/** What workers and upkeep do, until the sweep has ended. */
async function over(id: string): Promise<Shown> {
  for (let rounds = 0; rounds < 10; rounds++) {
    const sweep = await found(id);
    if (sweep.status !== 'running') return sweep;
    for (const { job_id: jobId, status } of sweep.trials)
      if (jobId !== null && ['validating_files', 'queued'].includes(status)) await jobs.supervise(jobId);
    await advanceSweeps(jobs.service.services);
  }
  throw new Error('the sweep does not end');
}

describe('a grid of two learning rates and two ranks', () => {
  it('is trained, and its winner has the lowest loss on the validation file that any of them has', async () => {
    const sweep = await over(
      (await create({ strategy: 'grid', parameters: { 'hyperparameters.learning_rate': [1e-6, 0.03], 'tuning.r': [2, 4] } })).id,
    );
    expect(sweep.trials.map(({ status }) => status)).toEqual(Array(4).fill('succeeded'));
    const losses = sweep.trials.map(({ metric }) => metric!.value);
    expect(sweep.winner!.value).toBe(Math.min(...losses));
    expect([2, 3]).toContain(sweep.winner!.index); // the higher rate
    expect(sweep.trials[sweep.winner!.index]!.fine_tuned_model).toMatch(/^ft:graft-tiny:/);
  });
});

describe('successive halving', () => {
  it('stops the worse jobs at the step, and the best one ends with the bytes that it has when nothing interrupts it', async () => {
    const parameters = { 'hyperparameters.learning_rate': [1e-6, 0.03, 1e-5] };
    const sweep = await over((await create({ strategy: 'successive_halving', parameters, min_steps: 3 })).id);
    expect(sweep.trials.map(({ status, step }) => [status, step])).toEqual([
      ['cancelled', 3],
      ['succeeded', 6],
      ['cancelled', 3],
    ]);
    expect(sweep).toMatchObject({ status: 'succeeded', winner: { index: 1 }, rungs: [{ step: 3, kept: [1] }] });
    const alone = await jobs.makeJob({ ...base, hyperparameters: { ...HYPERPARAMETERS, learning_rate: 0.03 } });
    await jobs.supervise(alone);
    expect(await jobs.weights(sweep.winner!.job_id)).toEqual(await jobs.weights(alone));
  });
});
