import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openDatabase } from '../../src/database/client.ts';
import { fineTunedModelName } from '../../src/ids.ts';
import { HEARTBEAT_TIMEOUT_MS } from '../../src/jobs/attempt-store.ts';
import type { NewJob } from '../../src/jobs/job.ts';
import { openSetbackStore } from '../../src/jobs/setback-store.ts';
import { type JobStore, openJobStore } from '../../src/jobs/store.ts';
import { openCuttingProxy } from '../database/cutting-proxy.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../database/embedded-database.ts';
import { newJob } from './new-job.ts';

let embedded: EmbeddedDatabase;
let jobs: JobStore;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
  jobs = openJobStore(embedded.database);
});
afterAll(() => embedded.close());

const make = async (fields: Partial<NewJob> = {}) => (await jobs.create('acme', newJob(fields))).job;

const running = async () => {
  const { id } = await make();
  const { attempt } = (await jobs.claim(id, 'worker-a'))!;
  await jobs.move(id, 'read', { attempt });
  return (await jobs.move(id, 'start', { attempt }))!;
};

const silence = (id: string) =>
  embedded.database.job.update({ where: { id }, data: { heartbeatAt: new Date(Date.now() - HEARTBEAT_TIMEOUT_MS - 1000) } });

describe('create', () => {
  it('stores what was requested', async () => {
    const job = newJob({ metadata: { team: 'a' }, suffix: 'mine' });
    expect(await jobs.find('acme', (await jobs.create('acme', job)).job.id)).toMatchObject({
      ...job,
      status: 'validating_files',
      attempt: 0,
      resolved: null,
      error: null,
    });
  });

  it('returns the same job for the same idempotency key, even when called at the same time', async () => {
    const results = await Promise.all([1, 2, 3].map(() => jobs.create('acme', newJob({ idempotencyKey: 'same' }))));
    expect(new Set(results.map(({ job }) => job.id)).size).toBe(1);
    expect(results.filter(({ created }) => created)).toHaveLength(1);
  });
});

describe('move', () => {
  it('by two cancels, a failure and a success at once › lets exactly one win', async () => {
    for (let round = 0; round < 10; round++) {
      const { id, attempt } = await running();
      const outcomes = await Promise.all([
        jobs.move(id, 'cancel'),
        jobs.move(id, 'succeed', {
          attempt,
          patch: { fineTunedModel: fineTunedModelName({ id, organization: 'acme', model: 'graft-tiny', suffix: null }) },
        }),
        jobs.move(id, 'cancel'),
        jobs.move(id, 'fail', { attempt, patch: { error: { code: 'x', message: 'y', param: null } } }),
      ]);
      const winners = outcomes.filter((outcome) => outcome !== null);
      expect(winners).toHaveLength(1);
      const job = (await jobs.find('acme', id))!;
      expect(job.status).toBe(winners[0]!.status);
      expect(job.fineTunedModel === null).toBe(job.status !== 'succeeded');
      expect(job.finishedAt).not.toBeNull();
    }
  });

  it('with an older attempt › changes nothing', async () => {
    const { id, attempt } = await running();
    await jobs.move(id, 'requeue');
    const { attempt: newer } = (await jobs.claim(id, 'worker-b'))!;
    await jobs.move(id, 'start', { attempt: newer });
    expect(newer).toBe(attempt + 1);
    expect(await jobs.move(id, 'succeed', { attempt })).toBeNull();
    expect((await jobs.find('acme', id))!.status).toBe('running');
  });

  it('of a finished job › is refused', async () => {
    const { id } = await make();
    await jobs.move(id, 'cancel');
    expect(await jobs.move(id, 'cancel')).toBeNull();
    expect(await jobs.move(id, 'read')).toBeNull();
  });
});

describe('claim', () => {
  it('by many workers at once › gives the job to one', async () => {
    const { id } = await make();
    const claims = await Promise.all(['a', 'b', 'c', 'd'].map((worker) => jobs.claim(id, worker)));
    expect(claims.filter((claim) => claim !== null)).toHaveLength(1);
  });

  it('whose connection is cut › has the job all the same, in one attempt, if the claim came through or could be repeated', async () => {
    const proxy = await openCuttingProxy(embedded.databaseUrl);
    const database = openDatabase(proxy.url);
    const distant = openJobStore(database);
    for (const when of ['before', 'after'] as const) {
      for (const message of [2, 3]) {
        const { id } = await make();
        await distant.findAny(id); // opens the connection
        proxy.cutAt(message, when);
        expect(await distant.claim(id, 'worker-a')).toMatchObject({ attempt: 1, workerId: 'worker-a' });
        expect(await jobs.claim(id, 'worker-b')).toBeNull();
      }
    }
    await database.$disconnect();
    await proxy.close();
  });

  it('of a job whose worker went silent before training › waits for the loss to be counted, and fences off the old worker', async () => {
    const { id } = await make();
    const first = (await jobs.claim(id, 'worker-a'))!;
    expect(await jobs.claim(id, 'worker-b')).toBeNull();
    await silence(id);
    expect(await jobs.claim(id, 'worker-b')).toBeNull();
    await openSetbackStore(embedded.database).lose(first, 'The worker was lost');
    expect((await jobs.findDue(1000)).map((due) => due.id)).toContain(id);
    const second = (await jobs.claim(id, 'worker-b'))!;
    expect(second.attempt).toBe(first.attempt + 1);
    expect(await jobs.heartbeat(id, first.attempt)).toBeNull();
    expect(await jobs.heartbeat(id, second.attempt)).not.toBeNull();
  });
});

describe('heartbeat', () => {
  it('of a cancelled job › returns null', async () => {
    const { id, attempt } = await running();
    expect(await jobs.heartbeat(id, attempt, { trainedTokens: 12 })).toMatchObject({ trainedTokens: 12 });
    await jobs.move(id, 'cancel');
    expect(await jobs.heartbeat(id, attempt)).toBeNull();
  });

  it('that has stopped › makes a running job stalled', async () => {
    const { id } = await running();
    expect((await jobs.findStalled()).map((job) => job.id)).not.toContain(id);
    await silence(id);
    expect((await jobs.findStalled()).map((job) => job.id)).toContain(id);
  });
});

describe('a machine whose clock is wrong', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([
    ['behind', -60_000],
    ['ahead', 60_000],
  ])('by a minute, %s › keeps the jobs that it works on, and takes none from others', async (_, skewMs) => {
    const others = (await jobs.claim((await make()).id, 'worker-a'))!;
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + skewMs });
    const { id, attempt } = await running();
    await jobs.heartbeat(id, attempt);
    const seenThere = await jobs.findStalled();
    expect(await jobs.claim(others.id, 'worker-b')).toBeNull();
    vi.useRealTimers();
    const seenElsewhere = await jobs.findStalled();
    const stalled = [...seenThere, ...seenElsewhere].map((job) => job.id);
    for (const job of [id, others.id]) expect(stalled).not.toContain(job);
  });
});

describe('list', () => {
  it('pages newest first and filters by metadata', async () => {
    const made = [];
    for (const n of [1, 2, 3, 4, 5]) made.push((await make({ metadata: { list: 'paged', n: String(n) } })).id);
    const first = await jobs.list('acme', { limit: 2, metadata: { list: 'paged' } });
    const second = await jobs.list('acme', { limit: 3, metadata: { list: 'paged' }, after: first.data[1]!.id });
    expect([...first.data, ...second.data].map((job) => job.id)).toEqual(made.reverse());
    expect([first.hasMore, second.hasMore]).toEqual([true, false]);
    expect((await jobs.list('acme', { limit: 100, metadata: { list: 'paged', n: '3' } })).data).toHaveLength(1);
    expect((await jobs.list('acme', { limit: 100, metadata: null })).data.every((job) => job.metadata === null)).toBe(true);
  });
});
