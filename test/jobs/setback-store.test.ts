import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type JobRecord, openJobRecord } from '../../src/jobs/record-store.ts';
import { MAX_LOSSES, pauseMs } from '../../src/jobs/setback.ts';
import { openSetbackStore, type SetbackStore } from '../../src/jobs/setback-store.ts';
import { type JobStore, openJobStore } from '../../src/jobs/store.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../database/embedded-database.ts';
import { newJob } from './new-job.ts';

let embedded: EmbeddedDatabase;
let jobs: JobStore;
let record: JobRecord;
let setbacks: SetbackStore;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
  jobs = openJobStore(embedded.database);
  record = openJobRecord(embedded.database);
  setbacks = openSetbackStore(embedded.database);
});
afterAll(() => embedded.close());

const running = async () => {
  const { id } = (await jobs.create('acme', newJob())).job;
  const { attempt } = (await jobs.claim(id, 'worker-a'))!;
  await jobs.move(id, 'read', { attempt });
  return (await jobs.move(id, 'start', { attempt }))!;
};
const takenAgain = async (id: string) => {
  const { attempt } = (await jobs.claim(id, 'worker-b'))!;
  return (await jobs.move(id, 'start', { attempt }))!;
};
const messages = async (id: string) => (await record.events('acme', id, { limit: 100 })).data.map(({ message }) => message).reverse();
const checkpoint = (step: number) => ({ step, folder: 'a/', metrics: { step }, files: [] });

describe('a loss', () => {
  it('without a newer checkpoint › fails the job the tenth time, in one write with its event', async () => {
    let job = await running();
    for (let losses = 1; losses < MAX_LOSSES; losses++) {
      expect(await setbacks.lose(job, 'The worker was lost')).toBe('queued');
      expect(await jobs.findAny(job.id)).toMatchObject({ status: 'queued', losses, workerId: null });
      job = await takenAgain(job.id);
    }
    expect(await setbacks.lose(job, 'The worker was lost')).toBe('failed');
    expect(await jobs.findAny(job.id)).toMatchObject({ status: 'failed', error: { code: 'too_many_attempts' }, finishedAt: expect.any(Date) });
    const said = await messages(job.id);
    expect(said[0]).toBe('The worker was lost; the job resumes from the beginning');
    expect(said.at(-1)).toMatch(/^The job failed: The worker was lost, 10 times in a row without a newer checkpoint/);
    expect(said).toHaveLength(MAX_LOSSES);
  });

  it('after a newer checkpoint each time, or after any number of graceful restarts › never fails the job', async () => {
    let job = await running();
    for (let step = 1; step <= 2 * MAX_LOSSES; step++) {
      await jobs.move(job.id, 'requeue', { attempt: job.attempt });
      job = await takenAgain(job.id);
      await record.addCheckpoint(job, checkpoint(step));
      expect(await setbacks.lose(job, 'The worker was lost')).toBe('queued');
      job = await takenAgain(job.id);
    }
    expect(job).toMatchObject({ status: 'running', losses: 1 });
    expect((await messages(job.id)).at(-1)).toBe('The worker was lost; the job resumes from the checkpoint at step 20');
  });

  it('of an attempt that no longer has the job › changes nothing', async () => {
    const job = await running();
    await setbacks.lose(job, 'The worker was lost');
    const newer = await takenAgain(job.id);
    expect(await setbacks.lose(job, 'The worker was lost')).toBeNull();
    expect(await setbacks.wait(job, { need: 'disk', detail: 'no room is left' })).toBeNull();
    expect(await jobs.findAny(job.id)).toMatchObject({ status: 'running', attempt: newer.attempt, losses: 1, waitingFor: null });
  });
});

describe('a wait', () => {
  it('keeps the job from every worker for longer the longer it lasts, within a minute', () => {
    expect([0, 4_000, 20_000, 3_600_000].map(pauseMs)).toEqual([5_000, 5_000, 20_000, 60_000]);
  });

  it('has one event however often it is renewed, counts no loss, and ends with another event', async () => {
    let job = await running();
    for (let tries = 0; tries < 3; tries++) {
      const resumeAt = await setbacks.wait(job, { need: 'object_store', detail: 'it is read-only (EROFS)' });
      expect(resumeAt!.getTime()).toBeGreaterThan(Date.now());
      expect(await jobs.claim(job.id, 'worker-b')).toBeNull();
      await embedded.database.job.update({ where: { id: job.id }, data: { resumeAt: new Date(Date.now() - 1) } });
      job = await takenAgain(job.id);
    }
    await setbacks.endWait(job);
    await setbacks.endWait(job);
    expect(await jobs.findAny(job.id)).toMatchObject({ losses: 0, waitingFor: null, waitingSince: null, resumeAt: null });
    expect(await messages(job.id)).toEqual([expect.stringMatching(/^The object store cannot be used/), expect.stringMatching(/used again/)]);
  });
});
