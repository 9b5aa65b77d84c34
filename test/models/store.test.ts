import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ModelStore, openModelStore, WORKER_TIMEOUT_MS } from '../../src/models/store.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../database/embedded-database.ts';

let embedded: EmbeddedDatabase;
let models: ModelStore;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
  models = openModelStore(embedded.database);
});
afterAll(() => embedded.close());

const model = (id: string) => ({ id, family: 'llama', parameters: 7_000_000_000, sizeBytes: 14_000_000_000, revision: null });
const worker = (id: string) => ({ id, hostname: 'here', device: 'CPU' });
const ids = async () => (await models.list()).map(({ id }) => id);

describe('announce', () => {
  it('by two workers with the same model › lists it once, until both are gone', async () => {
    await models.announce(worker('a'), [model('big'), model('org/small')]);
    await models.announce(worker('b'), [model('big')]);
    expect(await ids()).toEqual(['big', 'org/small']);
    expect(await models.find('big')).toMatchObject(model('big'));
    await models.removeWorker('a');
    expect(await ids()).toEqual(['big']);
    await models.removeWorker('b');
    expect(await ids()).toEqual([]);
  });

  it('again with fewer models › removes the others', async () => {
    await models.announce(worker('c'), [model('x'), model('y')]);
    await models.announce(worker('c'), [model('y')]);
    expect(await ids()).toEqual(['y']);
    await models.removeWorker('c');
  });

  it('by a machine whose clock is a minute behind › counts all the same', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 60_000 });
    await models.announce(worker('e'), [model('behind')]);
    vi.useRealTimers();
    expect(await ids()).toEqual(['behind']);
    await models.removeWorker('e');
  });

  it('that has stopped › takes the models off the list until it resumes', async () => {
    await models.announce(worker('d'), [model('z')]);
    await embedded.database.worker.update({ where: { id: 'd' }, data: { heartbeatAt: new Date(Date.now() - WORKER_TIMEOUT_MS - 1) } });
    expect(await ids()).toEqual([]);
    expect(await models.find('z')).toBeNull();
    await models.announce(worker('d'), [model('z')]);
    expect(await ids()).toEqual(['z']);
  });
});
