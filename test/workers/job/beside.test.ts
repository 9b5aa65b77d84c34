import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { largestDifference } from '../../../reference/fixtures.ts';
import { openBeside } from '../../../workers/job/beside.ts';
import type { ForkedTraining } from '../../../workers/process/forked.ts';
import { superviseJobs } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
/** The service's only worker: jobs are left to others that have none. */
let workerId: string;
beforeAll(async () => {
  jobs = await superviseJobs();
  workerId = (await jobs.service.services.models.workers())[0]!.id;
});
afterAll(() => jobs.close());

/** Long enough for something to happen in the middle. */
const LONG = { hyperparameters: { n_epochs: 50, batch_size: 1, learning_rate: 0.001, precision: 'f32' } };
const SHORT = { hyperparameters: { n_epochs: 8, batch_size: 2, learning_rate: 0.01, precision: 'f32' } };

/** Jobs that choose no seed. */
async function make(...fields: object[]): Promise<string[]> {
  const ids = [];
  for (const field of fields) ids.push(await jobs.makeJob({ seed: null, ...field }));
  return ids;
}

/** A worker that takes a job, and with it those that wait. @returns when all have ended or have been given back */
function supervise(id: string, disturbances: Parameters<typeof jobs.supervise>[1] = {}) {
  const { services } = jobs.service;
  const beside = openBeside({ services, workerId, freeSlots: () => 0, log: services.log });
  return jobs.supervise(id, { workerId, beside, ...disturbances });
}

const show = async (id: string) => (await jobs.get(id)).json<{ status: string; seed: number; error: { code: string } | null }>();
const statuses = (ids: readonly string[]) => Promise.all(ids.map(async (id) => (await show(id)).status));
const messages = async (id: string) =>
  (await jobs.get(id, '/events?limit=100')).json<{ data: { message: string }[] }>().data.map(({ message }) => message);
const running = (ids: readonly string[]) =>
  vi.waitUntil(async () => (await statuses(ids)).every((status) => status === 'running'), { timeout: 60_000 });
async function losses(id: string): Promise<number[]> {
  const rows = await jobs.service.services.jobRecord.metrics(id);
  return rows.map(({ metrics }) => metrics['train_loss']!);
}

describe('jobs that wait on one base', () => {
  it('train beside each other in one process, with the losses that each has alone, and are proven', async () => {
    const taken: ForkedTraining[] = [];
    const takeProcess = jobs.takeProcessWith((training) => {
      taken.push(training);
      return {};
    });
    const ids = await make(SHORT, { ...SHORT, tuning: { type: 'lora', r: 2 } }, SHORT);
    await supervise(ids[0]!, { takeProcess });
    expect(await statuses(ids)).toEqual(['succeeded', 'succeeded', 'succeeded']);
    expect(taken).toHaveLength(1);
    expect(await messages(ids[1]!)).toContainEqual(
      expect.stringMatching(/^Trains beside 2 other jobs on one copy of the base model, .* [\d.]+ times as fast/),
    );
    const { seed } = await show(ids[1]!);
    const [alone] = await make({ ...SHORT, tuning: { type: 'lora', r: 2 }, seed });
    await supervise(alone!);
    expect(largestDifference(await losses(ids[1]!), await losses(alone!))).toBeLessThan(1e-5);
    expect((await jobs.get(ids[2]!, '/proof')).json()).toMatchObject({ passed: true });
  });

  it('with a seed, or beside one with a seed › train alone, to the bit', async () => {
    const [seeded] = await make({ ...SHORT, seed: 5 });
    const others = await make(SHORT, SHORT);
    await supervise(seeded!);
    expect(await statuses([seeded!, ...others])).toEqual(['succeeded', 'validating_files', 'validating_files']);
    await supervise(others[0]!);
    expect(await statuses(others)).toEqual(['succeeded', 'succeeded']);
  });

  it('when one is cancelled, one is paused and one has a bad file › leave the others as they are', async () => {
    const bad = await jobs.service.upload('{"messages": []}\n');
    const ids = await make(LONG, LONG, LONG);
    const { id: broken } = await jobs.service.services.jobs.findAny(await jobs.makeJob({ ...LONG, seed: null })).then((job) => job!);
    await jobs.service.services.database.job.update({ where: { id: broken }, data: { trainingFileId: bad } });
    const supervised = supervise(ids[0]!);
    await running(ids);
    await jobs.service.post(`/v1/fine_tuning/jobs/${ids[0]}/cancel`, {});
    await jobs.service.post(`/v1/fine_tuning/jobs/${ids[1]}/pause`, {});
    await supervised;
    expect(await statuses([...ids, broken])).toEqual(['cancelled', 'paused', 'succeeded', 'failed']);
    expect(await losses(ids[2]!)).toHaveLength(400);
    await jobs.service.post(`/v1/fine_tuning/jobs/${ids[1]}/resume`, {});
    await supervise(ids[1]!);
    expect(await statuses(ids)).toEqual(['cancelled', 'succeeded', 'succeeded']);
    expect(await losses(ids[1]!)).toHaveLength(400);
  });

  it('when their process dies › are each resumed alone', async () => {
    const ids = await make(LONG, LONG);
    let process: ForkedTraining | undefined;
    const takeProcess = jobs.takeProcessWith((training) => {
      process = training;
      return {};
    });
    const supervised = supervise(ids[0]!, { takeProcess });
    await running(ids);
    await process!.kill();
    await supervised;
    expect(await statuses(ids)).toEqual(['queued', 'queued']);
    expect(await messages(ids[1]!)).toContainEqual(expect.stringMatching(/^It trains alone from now on; the job will be resumed from the beginning/));
    await supervise(ids[0]!);
    expect(await statuses(ids)).toEqual(['succeeded', 'queued']);
    await supervise(ids[1]!);
    expect(await statuses(ids)).toEqual(['succeeded', 'succeeded']);
    expect(await losses(ids[0]!)).toHaveLength(400);
  });

  it('when the worker stops › are all given back with a checkpoint', async () => {
    const ids = await make(LONG, LONG);
    const stopping = new AbortController();
    const supervised = supervise(ids[0]!, { stopping: stopping.signal });
    await running(ids);
    stopping.abort();
    await supervised;
    expect(await statuses(ids)).toEqual(['queued', 'queued']);
    for (const id of ids) expect(await jobs.service.services.jobRecord.newestCheckpoint(id)).not.toBeNull();
    for (const id of ids) await supervise(id);
    expect(await statuses(ids)).toEqual(['succeeded', 'succeeded']);
  });
});
