import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Job, NewJob } from '../../src/jobs/job.ts';
import { mayShareBase } from '../../src/jobs/may-share-base.ts';
import { type JobStore, openJobStore } from '../../src/jobs/store.ts';
import { openModelStore } from '../../src/models/store.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../database/embedded-database.ts';
import { newJob } from './new-job.ts';

let embedded: EmbeddedDatabase;
let jobs: JobStore;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
  jobs = openJobStore(embedded.database);
});
afterEach(async () => {
  await embedded.database.job.deleteMany();
  await embedded.database.worker.deleteMany();
});
afterAll(() => embedded.close());

const SHARES = { mayShareBase: true } as const;

async function make(fields: Partial<NewJob> = {}, project = 'A'): Promise<string> {
  const { job } = await jobs.create(project, newJob({ ...SHARES, ...fields }));
  return job.id;
}

/** A job that worker-a has just taken. */
async function taken(): Promise<Job> {
  return (await jobs.claim(await make(), 'worker-a'))!;
}

const announce = (id: string) => openModelStore(embedded.database).announce({ id, hostname: 'a machine', device: 'CPU' }, []);
const beside = async (job: Job, { limit = 3, free = 0 } = {}) => (await jobs.findBeside(job, { limit, free })).map(({ id }) => id);

describe('the jobs that may train beside one', () => {
  it('are those of its project on its base that wait, in order of creation, as many as asked for', async () => {
    const job = await taken();
    const ids = [await make(), await make(), await make(), await make()];
    expect(await beside(job)).toEqual(ids.slice(0, 3));
    expect(await beside(job, { limit: 1 })).toEqual(ids.slice(0, 1));
  });

  it('are not those on another base or revision, of another priority, that may not share, or that have been begun', async () => {
    const job = await taken();
    await make({ model: 'another' });
    await make({ modelRevision: 'c0ffee' });
    await make({ priority: 1 });
    await make({ mayShareBase: false });
    const { id, attempt } = (await jobs.claim(await make(), 'worker-b'))!;
    await jobs.release(id, attempt);
    expect(await beside(job)).toEqual([]);
  });

  it('are none while another project waits', async () => {
    const job = await taken();
    await make();
    const other = await make({}, 'B');
    expect(await beside(job)).toEqual([]);
    await jobs.claim(other, 'worker-b');
    expect(await beside(job)).toHaveLength(1);
  });

  it('are none for which a live worker has no job yet, or this machine a slot', async () => {
    const job = await taken();
    await announce('worker-a');
    await announce('worker-b');
    await announce('worker-c');
    const [first] = [await make(), await make(), await make()];
    expect(await beside(job)).toEqual([first]);
    expect(await beside(job, { free: 1 })).toEqual([]);
    await embedded.database.worker.update({ where: { id: 'worker-c' }, data: { heartbeatAt: new Date(0) } });
    expect(await beside(job)).toHaveLength(2);
    await jobs.claim(await make({ priority: 1 }), 'worker-b');
    expect(await beside(job)).toHaveLength(3);
  });
});

describe('mayShareBase', () => {
  const plain = { tuning: { type: 'lora', r: 8 }, hyperparameters: {} } as const;
  const asked = { isSeeded: false, isContinued: false };

  it('is true of supervised training of a plain LoRA adapter', () => {
    expect(mayShareBase(plain, asked)).toBe(true);
    expect(mayShareBase({ ...plain, tuning: { type: 'lora', init_lora_weights: 'gaussian', loraplus_lr_ratio: 4 } }, asked)).toBe(true);
  });

  it.each([
    ['a seed, with which one gets the same bytes again', plain, { ...asked, isSeeded: true }],
    ['a tuned model', plain, { ...asked, isContinued: true }],
    ['a dry run', { ...plain, dryRun: true }, asked],
    ['another objective', { ...plain, objective: 'dpo' as const }, asked],
    ['noise', { ...plain, hyperparameters: { neftune_noise_alpha: 5 } }, asked],
    ['dropout', { ...plain, tuning: { type: 'lora' as const, lora_dropout: 0.1 } }, asked],
    ['DoRA', { ...plain, tuning: { type: 'lora' as const, use_dora: true } }, asked],
    ['PiSSA', { ...plain, tuning: { type: 'lora' as const, init_lora_weights: 'pissa' } }, asked],
    ['full fine-tuning', { ...plain, tuning: { type: 'full' as const } }, asked],
  ])('is false with %s', (_, job, request) => {
    expect(mayShareBase(job, request)).toBe(false);
  });
});
