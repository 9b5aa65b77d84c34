import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openDatabase } from '../../../src/database/client.ts';
import type { ObjectStore } from '../../../src/object-store/object-store.ts';
import { openReportStore } from '../../../src/reports/store.ts';
import { superviseJobs } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let undisturbed: Buffer;
beforeAll(async () => {
  jobs = await superviseJobs();
  undisturbed = await jobs.undisturbed();
});
afterAll(() => jobs?.close());

const row = async (id: string) => (await jobs.service.services.jobs.findAny(id))!;

/** What was said of waits, oldest first. */
const said = async (id: string): Promise<string[]> => {
  const { data } = (await jobs.get(id, '/events?limit=100')).json<{ data: { level: string; message: string }[] }>();
  return data
    .flatMap(({ level, message }) => (level !== 'info' || / again, after /.test(message) ? [message] : []))
    .filter((message) => !message.startsWith('The training file'))
    .reverse();
};

const failure = (code: string) => Object.assign(new Error(`${code}: /a/private/path`), { code });

/** The object store, which is read-only from its first checkpoint on while it is `away`. */
function storeThatFails() {
  const { objectStore } = jobs.service.services;
  const state = { away: true, tries: 0 };
  const put: ObjectStore['put'] = async (key, body) => {
    if (!state.away || key.startsWith('files/')) return objectStore.put(key, body);
    state.tries += 1;
    throw failure('EROFS');
  };
  const check = () => (state.away ? Promise.reject(failure('EROFS')) : objectStore.check());
  return { state, services: { objectStore: { ...objectStore, put, check } } };
}

describe('a job whose object store becomes read-only', () => {
  it('waits, says so once, does not train in vain meanwhile, and resumes when it is back', async () => {
    const id = await jobs.makeJob();
    const { state, services } = storeThatFails();
    await jobs.supervise(id, { services, patienceMs: 0 });
    expect(await row(id)).toMatchObject({ status: 'queued', workerId: null, waitingFor: 'object_store', losses: 0, error: null });
    const { resumeAt, waitingSince } = await row(id);
    expect(resumeAt!.getTime() - waitingSince!.getTime()).toBe(5_000);
    expect((await jobs.get(id)).json()).toMatchObject({ waiting_for: 'object_store' });

    await jobs.supervise(id, { services });
    expect(await row(id)).toMatchObject({ attempt: 1 }); // it is not taken before
    expect(await jobs.service.services.jobs.findDue(1000)).not.toContain(id);

    const triesBefore = state.tries;
    await jobs.mayResumeNow(id);
    await jobs.supervise(id, {
      services,
      takeProcess: () => {
        throw new Error('it would train in vain');
      },
    });
    expect(await row(id)).toMatchObject({ status: 'queued', attempt: 2, waitingFor: 'object_store', losses: 0 });
    expect(state.tries).toBe(triesBefore);

    state.away = false;
    await jobs.mayResumeNow(id);
    await jobs.supervise(id, { services });
    expect(await row(id)).toMatchObject({ status: 'succeeded', waitingFor: null, resumeAt: null, losses: 0 });
    expect(await jobs.weights(id)).toEqual(undisturbed);
    expect(await said(id)).toEqual([
      expect.stringMatching(/^The object store cannot be used: it is read-only \(EROFS\)\. The job waits and resumes by itself/),
      expect.stringMatching(/^The object store can be used again, after \d+ s: the job resumes$/),
    ]);
  });
});

describe('a job whose object store is away for a moment', () => {
  it('keeps training, says so at once, and stores its checkpoints when the store is back', async () => {
    const id = await jobs.makeJob();
    const { state, services } = storeThatFails();
    const done = jobs.supervise(id, { services });
    await vi.waitFor(async () => expect((await said(id)).length).toBe(1), 60_000);
    expect(await row(id)).toMatchObject({ status: 'running', workerId: 'worker-a', waitingFor: 'object_store' });
    state.away = false;
    await done;
    expect(await row(id)).toMatchObject({ status: 'succeeded', attempt: 1, waitingFor: null, losses: 0 });
    expect(await jobs.weights(id)).toEqual(undisturbed);
    expect(await said(id)).toEqual([expect.stringMatching(/it is read-only \(EROFS\)/), expect.stringMatching(/used again/)]);
  });
});

describe('a job whose worker has no disk space left', () => {
  it('waits instead of failing, whether the training process or the worker finds out', async () => {
    const id = await jobs.makeJob();
    const error = { code: 'disk_full', message: 'no room is left', param: null, hint: null };
    const takeProcess = jobs.takeProcessWith(() => ({
      async *train() {
        yield { id, answer: 'failed', error };
      },
    }));
    await jobs.supervise(id, { takeProcess });
    expect(await row(id)).toMatchObject({ status: 'validating_files', workerId: null, waitingFor: 'disk', error: null });
    await jobs.mayResumeNow(id);
    const { objectStore } = jobs.service.services;
    const get = async () => {
      const stream = await objectStore.get((await objectStore.list('files/'))[0]!.key);
      return stream.map(() => {
        throw failure('ECONNRESET');
      });
    };
    await jobs.supervise(id, { services: { objectStore: { ...objectStore, get } } });
    expect(await row(id)).toMatchObject({ waitingFor: 'object_store', losses: 0 });
    await jobs.mayResumeNow(id);
    await jobs.supervise(id);
    expect(await row(id)).toMatchObject({ status: 'succeeded', waitingFor: null });
    expect(await said(id)).toEqual([
      "The worker's disk is full: no room is left. The job waits and resumes by itself: it is tried again within seconds, and at least once a minute",
      expect.stringMatching(/^The object store cannot be used: ECONNRESET/),
      expect.stringMatching(/^The object store can be used again/),
    ]);
  });
});

describe('a job whose database does not answer', () => {
  it('waits until it does, and then resumes without a loss', async () => {
    const id = await jobs.makeJob();
    const away = openDatabase('postgresql://nobody@127.0.0.1:1/none');
    const { setbacks } = jobs.service.services;
    const awaySetbacks = { ...setbacks };
    let failures = 0;
    awaySetbacks.wait = async (...args) => {
      if (failures++ === 0) await away.job.count();
      return setbacks.wait(...args);
    };
    await jobs.supervise(id, { services: { reports: openReportStore(away), setbacks: awaySetbacks } });
    expect(failures).toBe(2);
    expect(await row(id)).toMatchObject({ status: 'validating_files', workerId: null, waitingFor: 'database', losses: 0 });
    await jobs.mayResumeNow(id);
    await jobs.supervise(id);
    expect(await row(id)).toMatchObject({ status: 'succeeded', losses: 0 });
    expect(await said(id)).toEqual([
      expect.stringMatching(/^The database could not be reached: /),
      expect.stringMatching(/^The database can be reached again/),
    ]);
  });
});
