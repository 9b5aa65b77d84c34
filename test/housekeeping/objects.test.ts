import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { objectSweep } from '../../src/housekeeping/objects.ts';
import { keys } from '../../src/object-store/keys.ts';
import { newJob } from '../jobs/new-job.ts';
import { type RunningService, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service?.close());

const stored = async () => (await service.services.objectStore.list('')).map(({ key }) => key).filter((key) => !key.startsWith('probes/'));
const put = async (key: string) => {
  await service.services.objectStore.put(key, 'content');
  return key;
};

describe('the sweep of stored objects', () => {
  it('removes, the second time that it finds them, what no row names and no worker may still be writing', async () => {
    const { jobs, jobRecord, objectStore } = service.services;
    const files = await Promise.all([service.upload(), service.upload(), service.upload(), service.upload()]);
    const { id } = (await jobs.create('graft', newJob())).job;
    const old = (await jobs.claim(id, 'worker-a'))!;
    const killed = await put(`${keys.newCheckpoint(id, old.attempt, 4)}state.json`);
    await jobs.release(id, old.attempt);
    const { attempt } = (await jobs.claim(id, 'worker-b'))!;
    const named = keys.newCheckpoint(id, attempt, 4);
    await jobRecord.addCheckpoint({ id, attempt }, { step: 4, metrics: { step: 4 }, folder: named, files: [] });
    const kept = [await put(`${named}state.json`), await put(`${keys.newCheckpoint(id, attempt, 8)}state.json`), ...files.map(keys.file)];
    const ofNoJob = await put('jobs/ftjob-deleted/adapter/adapter_model.safetensors');
    const ofNoFile = await put(keys.file('file-killed'));

    const sweep = objectSweep(service.services);
    await sweep();
    expect(await stored()).toEqual([...kept, killed, ofNoJob, ofNoFile].sort());
    await sweep();
    expect(await stored()).toEqual(kept.sort());
    await objectStore.deletePrefix(keys.job(id));
  });

  it('removes nothing when most objects have no row, as with another database', async () => {
    const before = await stored();
    const added = await Promise.all(Array.from({ length: before.length + 1 }, (_, index) => put(keys.file(`file-${index}`))));
    const error = vi.fn();
    const sweep = objectSweep({ ...service.services, log: { info: vi.fn(), error } as never });
    await sweep();
    await sweep();
    expect((await stored()).sort()).toEqual([...before, ...added].sort());
    expect(error).toHaveBeenCalledTimes(2);
  });
});
