import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StepMetric } from '../../src/jobs/job.ts';
import { type JobRecord, openJobRecord } from '../../src/jobs/record-store.ts';
import { type JobStore, openJobStore } from '../../src/jobs/store.ts';
import { keys } from '../../src/object-store/keys.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../database/embedded-database.ts';
import { newJob } from './new-job.ts';

let embedded: EmbeddedDatabase;
let jobs: JobStore;
let jobRecord: JobRecord;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
  jobs = openJobStore(embedded.database);
  jobRecord = openJobRecord(embedded.database);
});
afterAll(() => embedded.close());

const claimed = async () => {
  const { job } = await jobs.create('acme', newJob());
  return (await jobs.claim(job.id, 'worker-a'))!;
};

const metric = (step: number, train_loss = 1): StepMetric => ({ step, metrics: { train_loss, epoch: step / 10, tokens: 10 } });

describe('events', () => {
  it('are paged newest first and followed oldest first', async () => {
    const { id } = await claimed();
    for (const message of ['one', 'two', 'three']) await jobRecord.appendEvent(id, { level: 'info', message });
    const { data, hasMore } = await jobRecord.events('acme', id, { limit: 2 });
    expect(data.map((event) => event.message)).toEqual(['three', 'two']);
    expect(hasMore).toBe(true);
    expect((await jobRecord.events('acme', id, { limit: 2, after: data[1]!.id })).data.map((event) => event.message)).toEqual(['one']);
    const after = (await jobRecord.seqOfEvent('acme', id, data[1]!.id))!;
    const { status, events } = await jobRecord.news(id, { after, limit: 10 });
    expect({ status, messages: events.map((event) => event.message) }).toEqual({ status: 'validating_files', messages: ['three'] });
    const newest = await jobRecord.newestNews(id, 2);
    expect(newest.events.map((event) => event.message)).toEqual(['two', 'three']);
    expect(await jobRecord.news('ftjob-none', { after: 0n, limit: 10 })).toEqual({ status: null, events: [] });
  });
});

describe('metrics', () => {
  it('come back in order, with a repeated step as it was first recorded', async () => {
    const { id, attempt } = await claimed();
    await jobRecord.addMetrics({ id, attempt }, [metric(1), metric(2)]);
    await jobRecord.addMetrics({ id, attempt }, [metric(2, 9), metric(3)]);
    expect(await jobRecord.metrics(id)).toEqual([metric(1), metric(2), metric(3)]);
  });

  it('are written with their events, of which a repeated step has one', async () => {
    const { id, attempt } = await claimed();
    const shown = (step: number) => ({ ...metric(step), events: [{ level: 'info', message: `Step ${step}` } as const] });
    await jobRecord.addMetrics({ id, attempt }, [shown(1), metric(2)]);
    await jobRecord.addMetrics({ id, attempt }, [shown(1), shown(2), shown(3)]);
    const { data } = await jobRecord.events('acme', id, { limit: 10 });
    expect(data.map(({ message }) => message)).toEqual(['Step 3', 'Step 1']);
  });

  it('may have any name, and are left out if they are not finite', async () => {
    const { id, attempt } = await claimed();
    await jobRecord.addMetrics({ id, attempt }, [
      { step: 1, metrics: { train_rewards_margin: 0.25, valid_loss: Number.NaN, full_valid_loss: Infinity } },
    ]);
    expect(await jobRecord.metrics(id)).toEqual([{ step: 1, metrics: { train_rewards_margin: 0.25 } }]);
  });
});

describe('checkpoints', () => {
  it('come back newest first, with a repeated one as it was last recorded', async () => {
    const { id, attempt } = await claimed();
    await jobRecord.addCheckpoint({ id, attempt }, { step: 2, folder: keys.newCheckpoint(id, attempt, 2), metrics: { step: 2 }, files: [] });
    await jobRecord.addCheckpoint(
      { id, attempt },
      { step: 3, folder: keys.newCheckpoint(id, attempt, 3), metrics: { step: 3, train_loss: 1 }, files: [] },
    );
    await jobRecord.addCheckpoint(
      { id, attempt },
      { step: 3, folder: keys.newCheckpoint(id, attempt, 3), metrics: { step: 3, train_loss: 2 }, files: [] },
    );
    expect(await jobRecord.newestCheckpoint(id)).toMatchObject({ step: 3, metrics: { train_loss: 2 } });
    expect((await jobRecord.checkpoints('acme', id, { limit: 10 })).data.map((checkpoint) => checkpoint.step)).toEqual([3, 2]);
  });

  it('of older versions are where those put them', async () => {
    const { id, attempt } = await claimed();
    const { id: checkpoint } = (await jobRecord.addCheckpoint({ id, attempt }, { step: 2, folder: 'elsewhere/', metrics: { step: 2 }, files: [] }))!;
    await embedded.database.checkpoint.update({ where: { id: checkpoint }, data: { folder: null } });
    expect((await jobRecord.newestCheckpoint(id))!.folder).toBe(`jobs/${id}/checkpoints/2/`);
  });
});

describe('a worker', () => {
  it.each([
    ['whose job was cancelled', (id: string) => jobs.moveOwn('acme', id, 'cancel')],
    ['that slept while its job was released', (id: string) => jobs.release(id, 1)],
    [
      'that slept while another one took its job',
      async (id: string) => {
        await jobs.release(id, 1);
        await jobs.claim(id, 'worker-b');
      },
    ],
  ])('%s › writes neither metrics nor checkpoints nor events', async (_, happens) => {
    const { id, attempt } = await claimed();
    await happens(id);
    expect(await jobRecord.addMetrics({ id, attempt }, [metric(1)])).toBe(false);
    expect(
      await jobRecord.addCheckpoint({ id, attempt }, { step: 1, folder: keys.newCheckpoint(id, attempt, 1), metrics: { step: 1 }, files: [] }),
    ).toBeNull();
    expect(await jobRecord.metrics(id)).toEqual([]);
    expect(await jobRecord.newestCheckpoint(id)).toBeNull();
    expect(await jobRecord.addEvents({ id, attempt }, [{ level: 'info', message: 'late' }])).toBe(false);
    expect(await jobs.begin({ id, attempt }, { read: {}, start: {} })).toBeNull();
    expect((await jobRecord.events('acme', id, { limit: 10 })).data).toEqual([]);
  });
});
