import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../../src/database/client.ts';
import { openFileStore } from '../../../src/files/store.ts';
import type { ProofFindings } from '../../../src/formats/adapter-proof.ts';
import type { Job } from '../../../src/jobs/job.ts';
import { openJobRecord } from '../../../src/jobs/record-store.ts';
import { openJobStore } from '../../../src/jobs/store.ts';
import { keys } from '../../../src/object-store/keys.ts';
import { openLocalStore } from '../../../src/object-store/local.ts';
import type { ObjectStore } from '../../../src/object-store/object-store.ts';
import { openReportStore } from '../../../src/reports/store.ts';
import type { TrainResult } from '../../../workers/engine/contract.ts';
import { deliver } from '../../../workers/job/delivery.ts';
import { type CuttingProxy, openCuttingProxy } from '../../database/cutting-proxy.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../../database/embedded-database.ts';
import { newJob } from '../../jobs/new-job.ts';

const FILES = ['adapter_config.json', 'adapter_model.safetensors'];

let embedded: EmbeddedDatabase;
let proxy: CuttingProxy;
let dir: string;
let objectStore: ObjectStore;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
  proxy = await openCuttingProxy(embedded.databaseUrl);
  dir = await mkdtemp(join(tmpdir(), 'graft-delivery-'));
  await mkdir(join(dir, 'output'));
  for (const name of FILES) await writeFile(join(dir, 'output', name), name);
  objectStore = await openLocalStore(join(dir, 'objects'));
});
afterAll(async () => {
  await proxy?.close();
  await embedded?.close();
  await rm(dir, { recursive: true, force: true });
});

const storesOf = (db: Database) => ({ jobs: openJobStore(db), jobRecord: openJobRecord(db), files: openFileStore(db), reports: openReportStore(db) });

/** A job that has trained its two steps. */
async function trained({ jobs, jobRecord }: ReturnType<typeof storesOf>): Promise<Job> {
  const { id } = (await jobs.create('acme', newJob())).job;
  return attemptOf(id, { jobs, jobRecord });
}

async function attemptOf(id: string, { jobs, jobRecord }: Pick<ReturnType<typeof storesOf>, 'jobs' | 'jobRecord'>): Promise<Job> {
  const attempt = (await jobs.claim(id, 'worker-a'))!;
  await jobs.begin(attempt, { read: {}, start: {} });
  await jobRecord.addMetrics(
    attempt,
    [1, 2].map((step) => ({ step, metrics: { train_loss: 1 } })),
  );
  return attempt;
}

const findings: ProofFindings = {
  tensors: null,
  effect: null,
  loss: { measured_on: 'training_sample', examples: 1, live: 1, delivered: 1 } as unknown as NonNullable<ProofFindings['loss']>,
  problems: [],
  seconds: 0,
};

const LAST = { step: 3, totalSteps: 3, metrics: {} };

const delivery = (job: Job, services: Parameters<typeof deliver>[0]['services'], load = async () => findings) =>
  deliver({
    services,
    job,
    result: { outputDir: join(dir, 'output'), trainedTokens: 12, steps: 3, last: LAST, delivered: LAST } as TrainResult,
    deliveredDir: join(dir, 'delivered'),
    load,
    analyse: async () => {},
  });

/** Expects all of a success, once. */
async function expectDelivered(id: string): Promise<void> {
  const { jobs, jobRecord, files } = storesOf(embedded.database);
  const job = (await jobs.findAny(id))!;
  expect(job).toMatchObject({ status: 'succeeded', trainedTokens: 12, fineTunedModel: expect.stringMatching(/^ft:/) });
  const stored = (await objectStore.list(job.adapterFolder!)).map(({ key }) => key.slice(job.adapterFolder!.length));
  expect(stored).toEqual(FILES);
  const rows = await Promise.all(job.resultFileIds.map((file) => files.find('acme', file)));
  expect(rows.map((row) => row!.filename)).toEqual(['step_metrics.csv', ...FILES]);
  for (const row of rows) expect(await objectStore.size(row!.storageKey)).toBe(row!.sizeBytes);
  const { data } = await jobRecord.events('acme', id, { limit: 10 });
  expect(data.map(({ message }) => message.slice(0, 22))).toEqual(['The job has successful', 'New fine-tuned model c', 'The delivered files we']);
}

describe('a delivery', () => {
  it('whose connection to the database is cut at any message, before it arrives or after it was answered › loses and doubles nothing', async () => {
    const cuts = { before: 0, after: 0, retried: 0 };
    for (const when of ['before', 'after'] as const) {
      for (let message = 1; ; message++) {
        const database = openDatabase(proxy.url);
        const services = { ...storesOf(database), objectStore };
        const job = await trained(services);
        proxy.cutAt(message, when);
        const outcome = await delivery(job, services).then(
          () => 'delivered',
          () => 'interrupted',
        );
        const isOver = proxy.messages() < message;
        proxy.cutAt(0, when);
        await database.$disconnect();
        if (outcome === 'interrupted') {
          cuts.retried += 1;
          const again = storesOf(embedded.database);
          expect(await again.jobs.move(job.id, 'requeue')).toMatchObject({ adapterFolder: null });
          await delivery(await attemptOf(job.id, again), { ...again, objectStore });
        }
        await expectDelivered(job.id);
        if (isOver) break;
        cuts[when] += 1;
      }
    }
    expect(cuts.before).toBeGreaterThanOrEqual(10);
    expect(cuts.after).toBe(cuts.before);
    expect(cuts.retried).toBe(0); // the attempt itself repeats what was not answered
  });

  it('of a job that is cancelled just before its success › removes what it uploaded, and nothing else', async () => {
    const services = { ...storesOf(embedded.database), objectStore };
    const job = await trained(services);
    const folder = keys.newCheckpoint(job.id, job.attempt, 2);
    await objectStore.put(`${folder}state`, 'checkpoint');
    const files = (await objectStore.list('files/')).length;
    const metrics: typeof services.jobRecord.metrics = async (id) => {
      await services.jobs.moveOwn('acme', id, 'cancel');
      return services.jobRecord.metrics(id);
    };
    await expect(delivery(job, { ...services, jobRecord: { ...services.jobRecord, metrics } })).rejects.toThrow();
    expect((await objectStore.list(keys.job(job.id))).map(({ key }) => key)).toEqual([`${folder}state`]);
    expect(await objectStore.list('files/')).toHaveLength(files);
    expect(await services.jobs.findAny(job.id)).toMatchObject({ status: 'cancelled', resultFileIds: [], fineTunedModel: null });
  });

  it('of a worker that slept while another one delivered › removes only what it uploaded itself', async () => {
    const services = { ...storesOf(embedded.database), objectStore };
    const sleeper = await trained(services);
    const load = async () => {
      await services.jobs.move(sleeper.id, 'requeue');
      await delivery(await attemptOf(sleeper.id, services), services);
      await mkdir(join(dir, 'delivered'), { recursive: true });
      return findings;
    };
    await expect(delivery(sleeper, services, load)).rejects.toThrow();
    await expectDelivered(sleeper.id);
    expect(await objectStore.list(keys.job(sleeper.id))).toHaveLength(FILES.length);
  });
});
