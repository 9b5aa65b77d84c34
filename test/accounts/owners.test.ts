import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FileStore, openFileStore } from '../../src/files/store.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import { fineTunedModelName, newEndpointId, newFileId } from '../../src/ids.ts';
import type { Job } from '../../src/jobs/job.ts';
import { type JobRecord, openJobRecord } from '../../src/jobs/record-store.ts';
import { openRetentionStore, type RetentionStore } from '../../src/jobs/retention-store.ts';
import { type JobStore, openJobStore } from '../../src/jobs/store.ts';
import { openReportStore, type ReportStore } from '../../src/reports/store.ts';
import { openDeliveryStore } from '../../src/webhooks/delivery-store.ts';
import { openEndpointStore } from '../../src/webhooks/endpoint-store.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../database/embedded-database.ts';
import { newJob } from '../jobs/new-job.ts';

const MINE = 'acme';
const THEIRS = 'globex';

let embedded: EmbeddedDatabase;
let files: FileStore;
let jobs: JobStore;
let jobRecord: JobRecord;
let reports: ReportStore;
let retention: RetentionStore;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
  const { database } = embedded;
  files = openFileStore(database);
  jobs = openJobStore(database);
  jobRecord = openJobRecord(database);
  reports = openReportStore(database);
  retention = openRetentionStore(database);
});
afterAll(() => embedded.close());

describe('a file', () => {
  const upload = (owner: string) => {
    const id = newFileId();
    return files.create(owner, { id, filename: 'a.jsonl', purpose: 'fine-tune', sizeBytes: 1, sha256: '', storageKey: `files/${id}` });
  };

  it('is found, listed and deleted only by its owner', async () => {
    const [mine, theirs] = [await upload(MINE), await upload(THEIRS)];
    expect(mine.owner).toBe(MINE);
    expect(await files.find(MINE, mine.id)).toEqual(mine);
    expect(await files.find(THEIRS, mine.id)).toBeNull();
    expect(await files.findEvenDeleted(THEIRS, mine.id)).toBeNull();
    for (const [owner, own] of [[MINE, mine] as const, [THEIRS, theirs] as const])
      expect((await files.list(owner, { order: 'desc', limit: 10 })).data).toEqual([own]);
    expect(await files.delete(THEIRS, mine.id)).toBe(false);
    expect(await files.find(MINE, mine.id)).toEqual(mine);
    expect(await files.delete(MINE, mine.id)).toBe(true);
  });

  it('of another owner is not a valid list cursor', async () => {
    const { id } = await upload(MINE);
    const page = { order: 'asc', limit: 10, after: id } as const;
    await expect(files.list(THEIRS, page)).rejects.toMatchObject({ code: 'invalid_value', param: 'after' });
    expect((await files.list(MINE, page)).data).toEqual([]);
  });

  it('that is deleted is found by the sweep, whoever owns it', async () => {
    const deleted = [await upload(MINE), await upload(THEIRS)];
    for (const { owner, id } of deleted) await files.delete(owner, id);
    expect((await files.findGone()).map(({ id }) => id)).toEqual(expect.arrayContaining(deleted.map(({ id }) => id)));
  });
});

describe('a job', () => {
  it('is found, listed and cancelled only by its owner', async () => {
    const { job } = await jobs.create(MINE, newJob());
    expect(job.owner).toBe(MINE);
    expect(await jobs.find(MINE, job.id)).toEqual(job);
    expect(await jobs.find(THEIRS, job.id)).toBeNull();
    expect((await jobs.list(MINE, { limit: 10 })).data).toContainEqual(job);
    expect((await jobs.list(THEIRS, { limit: 10 })).data).toEqual([]);
    await expect(jobs.list(THEIRS, { limit: 10, after: job.id })).rejects.toMatchObject({ param: 'after' });
    expect(await jobs.moveOwn(THEIRS, job.id, 'cancel')).toBeNull();
    expect(await jobs.find(MINE, job.id)).toEqual(job);
    expect(await jobs.moveOwn(MINE, job.id, 'cancel')).toMatchObject({ status: 'cancelled' });
  });

  it('of any owner can be found and claimed by a worker', async () => {
    const { id } = (await jobs.create(THEIRS, newJob())).job;
    expect((await jobs.findDue(100)).map((due) => due.id)).toContain(id);
    expect(await jobs.findAny(id)).toMatchObject({ id, owner: THEIRS });
    expect(await jobs.claim(id, 'worker')).toMatchObject({ id, owner: THEIRS });
  });

  it('is created once per owner under the same idempotency key', async () => {
    const key = { idempotencyKey: 'same' };
    const [mine, theirs] = [await jobs.create(MINE, newJob(key)), await jobs.create(THEIRS, newJob(key))];
    expect([mine.created, theirs.created]).toEqual([true, true]);
    const again = await jobs.create(THEIRS, newJob(key));
    expect([again.created, again.job.id]).toEqual([false, theirs.job.id]);
  });
});

describe('the record of a job', () => {
  let job: Job;
  beforeAll(async () => {
    const { id } = (await jobs.create(MINE, newJob())).job;
    const { attempt } = (await jobs.claim(id, 'worker'))!;
    await jobs.move(id, 'read', { attempt });
    job = (await jobs.move(id, 'start', { attempt }))!;
  });

  it('shows its events only to the owner', async () => {
    const event = await jobRecord.appendEvent(job.id, { level: 'info', message: 'Created' });
    expect((await jobRecord.events(MINE, job.id, { limit: 10 })).data).toEqual([event]);
    expect((await jobRecord.events(THEIRS, job.id, { limit: 10 })).data).toEqual([]);
    await expect(jobRecord.events(THEIRS, job.id, { limit: 10, after: event.id })).rejects.toMatchObject({ param: 'after' });
    expect(await jobRecord.seqOfEvent(MINE, job.id, event.id)).toBe(event.seq);
    expect(await jobRecord.seqOfEvent(THEIRS, job.id, event.id)).toBeNull();
  });

  it('shows its checkpoints only to the owner', async () => {
    const checkpoint = (await jobRecord.addCheckpoint(job, { step: 1, folder: 'a/', metrics: { step: 1 }, files: [] }))!;
    expect(checkpoint.name).toMatch(/^ft:graft-tiny:graft:/);
    expect((await jobRecord.checkpoints(MINE, job.id, { limit: 10 })).data).toEqual([checkpoint]);
    expect((await jobRecord.checkpoints(THEIRS, job.id, { limit: 10 })).data).toEqual([]);
    expect(await jobRecord.findCheckpoint(MINE, checkpoint.name)).toEqual(checkpoint);
    expect(await jobRecord.findCheckpoint(THEIRS, checkpoint.name)).toBeNull();
  });

  it('shows its reports only to the owner', async () => {
    const receipt = { object: 'fine_tuning.job.receipt' } as TokenReceipt;
    await reports.put(job, 'receipt', receipt);
    expect(await reports.find(MINE, job.id, 'receipt')).toEqual(receipt);
    expect(await reports.find(THEIRS, job.id, 'receipt')).toBeNull();
  });

  it('lets only the owner find, list and delete its model', async () => {
    const fineTunedModel = fineTunedModelName(job);
    await jobs.move(job.id, 'succeed', { attempt: job.attempt, patch: { fineTunedModel } });
    expect(await jobs.findByModel(MINE, fineTunedModel)).toMatchObject({ id: job.id });
    expect(await jobs.findByModel(THEIRS, fineTunedModel)).toBeNull();
    expect((await jobs.listTuned(MINE, { limit: 10 })).data.map(({ id }) => id)).toEqual([job.id]);
    expect((await jobs.listTuned(THEIRS, { limit: 10 })).data).toEqual([]);
    const made = (await jobs.findByModel(MINE, fineTunedModel))!;
    await retention.forgetModel({ ...made, owner: THEIRS });
    expect(await jobs.findByModel(MINE, fineTunedModel)).not.toBeNull();
    await retention.forgetModel(made);
    expect(await jobs.findByModel(MINE, fineTunedModel)).toBeNull();
  });
});

describe('a webhook endpoint', () => {
  it('is found, listed, changed and deleted only by its owner, and told of no one else', async () => {
    const webhooks = openEndpointStore(embedded.database);
    const deliveries = openDeliveryStore(embedded.database);
    const fields = { name: 'n', url: 'https://example.com', eventTypes: ['fine_tuning.job.cancelled' as const], secret: 's', secretHint: 'h' };
    const mine = await webhooks.create(MINE, { id: newEndpointId(), ...fields });
    const theirs = await webhooks.create(THEIRS, { id: newEndpointId(), ...fields });
    expect(await webhooks.find(THEIRS, mine.id)).toBeNull();
    expect((await webhooks.list(THEIRS, { limit: 10 })).data).toEqual([theirs]);
    await expect(webhooks.list(THEIRS, { limit: 10, after: mine.id })).rejects.toMatchObject({ code: 'invalid_value', param: 'after' });
    expect(await webhooks.update(THEIRS, mine.id, { name: 'theirs' })).toBeNull();
    expect(await webhooks.rotate(THEIRS, mine, { secret: 't', secretHint: 't', keepOld: false })).toBeNull();
    expect(await webhooks.delete(THEIRS, mine.id)).toBe(false);
    expect(await webhooks.find(MINE, mine.id)).toEqual(mine);

    const { job } = await jobs.create(MINE, newJob());
    await jobs.moveOwn(MINE, job.id, 'cancel');
    expect((await deliveries.list(MINE, mine.id, { limit: 10 })).data).toMatchObject([{ subjectId: job.id }]);
    expect((await deliveries.list(THEIRS, mine.id, { limit: 10 })).data).toEqual([]);
    expect((await deliveries.list(THEIRS, theirs.id, { limit: 10 })).data).toEqual([]);
  });
});
